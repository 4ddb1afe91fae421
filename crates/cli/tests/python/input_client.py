"""The official client of the second generation: responds to the requests of a server during a call; prints JSON.

Run: input_client.py MODE COMMAND ARGUMENT…
"""

import asyncio
import json
import os
import sys

import mcp_types as types
from mcp import Client, StdioServerParameters


async def elicit(_context, params):
    return types.ElicitResult(action="accept", content={"name": f"Ada, {params.message}"})


async def sample(_context, params):
    text = f"{params.messages[0].content.text} Hello."
    return types.CreateMessageResult(
        role="assistant", model="test", content=types.TextContent(type="text", text=text)
    )


async def list_roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///work")])


async def main():
    mode, command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    callbacks = {
        "elicitation_callback": elicit,
        "sampling_callback": sample,
        "list_roots_callback": list_roots,
    }
    async with Client(server, mode=mode, **callbacks) as client:
        result = await client.call_tool("input__gather", {})
        output = {"protocol": client.protocol_version, "text": result.content[0].text}
        print(json.dumps(output))


asyncio.run(main())
