"""The official client of the second generation: sets credentials, calls AWS through a server, clears; prints JSON.

Run: client_2.py MODE http URL TOKEN, or: client_2.py MODE stdio COMMAND ARGUMENT…
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

KEYS = {"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "of-AAAA-kept", "session_token": "token"}


def server(transport, target, *rest):
    if transport == "stdio":
        return StdioServerParameters(command=target, args=list(rest), env=dict(os.environ))
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {rest[0]}"}, timeout=60)
    return streamable_http_client(target, http_client=http)


async def converse(client):
    tools = [tool.name for tool in (await client.list_tools()).tools]
    bound = {}
    if "create_credential_session" in tools:
        bound = (await client.call_tool("create_credential_session", {})).structured_content
    early = await client.call_tool("aws__get_caller_identity", bound)
    given = await client.call_tool("set_aws_credentials_context", {"credentials_json": KEYS, **bound})
    identity = await client.call_tool("aws__get_caller_identity", bound)
    cleared = await client.call_tool("clear_credential_context", bound)
    late = await client.call_tool("aws__get_caller_identity", bound)
    return {
        "protocol": client.protocol_version,
        "tools": tools,
        "early": early.is_error,
        "given": given.content[0].text,
        "arn": (identity.structured_content or {}).get("arn"),
        "cleared": cleared.content[0].text,
        "late": late.is_error,
    }


async def main():
    mode, *target = sys.argv[1:]
    async with Client(server(*target), mode=mode) as client:
        print(json.dumps(await converse(client)))


asyncio.run(main())
