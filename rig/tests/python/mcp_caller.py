"""Starts an MCP server with this script's environment and prints its AWS identity. Run: mcp_caller.py COMMAND"""

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    server = StdioServerParameters(command=sys.argv[1], env=dict(os.environ))
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        result = await session.call_tool("call_aws", {"cli_command": "aws sts get-caller-identity"})
        print("\n".join(part.text for part in result.content if part.type == "text"))


asyncio.run(main())
