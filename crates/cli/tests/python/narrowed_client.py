"""Works through a gateway with the official client: tools under policies, and sub-agents with handles. Prints JSON.

Run: narrowed_client.py VALETKEY MCP_CONFIG SETTINGS BUCKET
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

PUTTING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}


async def narrow(session, **arguments):
    answer = await session.call_tool("narrow_aws_credentials", arguments)
    return answer.structuredContent["credential_session"]


async def work(session, bucket):
    async def tried(tool, **handle):
        answer = await session.call_tool(f"buckets__{tool}", {"bucket": bucket, **handle})
        text = answer.content[0].text
        return {"refused": text} if answer.isError else json.loads(text)

    tools = (await session.list_tools()).tools
    reader = await narrow(session, policy_name="reading", lifetime=900)
    writer = await narrow(session, policy=PUTTING)
    calls = {
        "reader": lambda: tried("reader"),
        "writer": lambda: tried("writer"),
        "anything": lambda: tried("anything"),
        "sub reader": lambda: tried("anything", credential_session=reader),
        "sub writer": lambda: tried("anything", credential_session=writer),
        "both": lambda: tried("reader", credential_session=writer),
    }
    rounds = [await asyncio.gather(*(call() for call in calls.values())) for _ in range(5)]
    seen = {name: [responses[at] for responses in rounds] for at, name in enumerate(calls)}
    await session.call_tool("close_credential_session", {"credential_session": reader})
    seen["closed"] = await tried("anything", credential_session=reader)
    seen["other"] = await tried("anything", credential_session=writer)
    await session.call_tool("clear_credential_context", {})
    seen["cleared"] = [await tried("reader"), await tried("anything", credential_session=writer)]
    seen["tools"] = {tool.name: sorted(tool.inputSchema["properties"]) for tool in tools}
    return seen


async def main(valetkey, config, settings, bucket):
    gateway = StdioServerParameters(
        command=valetkey, args=["serve", "--mcp-config", config, "--config", settings], env=dict(os.environ)
    )
    async with stdio_client(gateway) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        print(json.dumps(await work(session, bucket)))


asyncio.run(main(*sys.argv[1:]))
