"""The official MCP client, over HTTP. Run: http_client.py URL TOKEN; prints JSON."""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

KEYS = {"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "of-AAAA-kept", "session_token": "token"}


async def converse(url, headers):
    async with streamablehttp_client(url, headers=headers) as (reader, writer, _):
        async with ClientSession(reader, writer) as session:
            greeting = await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            given = await session.call_tool("set_aws_credentials_context", {"credentials_json": KEYS})
            after = await session.call_tool("fixture__whoami", {})
            created = await session.call_tool("create_credential_session", {})
            handle = created.structuredContent["credential_session"]
            empty = await session.call_tool("fixture__whoami", {"credential_session": handle})
            return {
                "server": greeting.serverInfo.name,
                "tools": tools,
                "given": given.isError,
                "after": after.structuredContent,
                "empty": empty.isError,
                "handle": handle,
            }


async def call_per_session(url, headers):
    """Opens an MCP session for each call, as LangChain's adapters do, in one credential session."""
    results = []
    for name, arguments in [("set_aws_credentials_context", {"credentials_json": KEYS}), ("fixture__whoami", {})]:
        async with streamablehttp_client(url, headers=headers) as (reader, writer, _):
            async with ClientSession(reader, writer) as session:
                await session.initialize()
                results.append(await session.call_tool(name, arguments))
    return results[-1].structuredContent


async def main():
    url, token = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    said = await converse(url, headers)
    headers["Valetkey-Session"] = said["handle"]
    said["separate"] = await call_per_session(url, headers)
    print(json.dumps(said))


asyncio.run(main())
