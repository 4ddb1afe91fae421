"""The official MCP client, over stdio: lists, sets credentials, calls. Run: client.py COMMAND ARGUMENT…; prints JSON."""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

KEYS = {"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "of-AAAA-kept", "session_token": "token"}


async def converse(session):
    greeting = await session.initialize()
    tools = [tool.name for tool in (await session.list_tools()).tools]
    before = await session.call_tool("fixture__whoami", {})
    given = await session.call_tool("set_aws_credentials_context", {"credentials_json": KEYS})
    after = await session.call_tool("fixture__whoami", {})
    return {
        "server": greeting.serverInfo.name,
        "tools": tools,
        "before": [before.isError, before.content[0].text],
        "given": [given.isError, given.content[0].text],
        "after": after.structuredContent,
    }


async def main():
    server = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:], env=dict(os.environ))
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        print(json.dumps(await converse(session)))


asyncio.run(main())
