"""The official Python client, over stdio: lists the tools, calls one. Run: list.py TOOL COMMAND ARGUMENT…; prints JSON."""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

KEYS = {"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "of-AAAA-kept"}


async def main():
    tool, command, *args = sys.argv[1:]
    server = StdioServerParameters(command=command, args=args, env=dict(os.environ))
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        try:
            tools = [tool.name for tool in (await session.list_tools()).tools]
        except Exception as error:
            print(json.dumps({"rejected": type(error).__name__}))
            return
        await session.call_tool("set_aws_credentials_context", {"credentials_json": KEYS})
        result = await session.call_tool(tool, {})
        print(json.dumps({"tools": tools, "isError": bool(result.isError)}))


asyncio.run(main())
