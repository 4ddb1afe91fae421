"""Works through a gateway with the official client, as two accounts in turn, and prints what it saw as JSON.

Run: gateway_client.py VALETKEY MCP_CONFIG
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import boto3
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

ACCOUNTS = {"a": "111111111111", "b": "222222222222"}


def assumed(account, name):
    """Credentials of a role of the account."""
    sts = boto3.client("sts", aws_access_key_id="AKIAUNKNOWN000000001", aws_secret_access_key="nobodys-secret")
    role = f"arn:aws:iam::{account}:role/agent"
    keys = sts.assume_role(RoleArn=role, RoleSessionName=f"agent-{name}")["Credentials"]
    return {
        "access_key_id": keys["AccessKeyId"],
        "secret_access_key": keys["SecretAccessKey"],
        "session_token": keys["SessionToken"],
        "expires_at": keys["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def children(parent):
    """The process ids right below a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, above, *_ = stat.read_text().rsplit(") ", 1)[-1].split()
        except (OSError, ValueError):
            continue  # It has just ended.
        if int(above) == parent and state != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def servers():
    """The children of our only child, the gateway."""
    (gateway,) = children(os.getpid())
    return children(gateway)


async def call(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    text = "\n".join(part.text for part in result.content if part.type == "text")
    return {"is_error": bool(result.isError), "text": text}


async def who(session):
    answer = await call(session, "aws-api__call_aws", cli_command="aws sts get-caller-identity")
    return {**answer, "pids": servers()}


async def work(session, keys):
    seen = {"tools": [tool.name for tool in (await session.list_tools()).tools], "early": await who(session)}
    for name, key in keys.items():
        seen[f"set {name}"] = await call(session, "set_aws_credentials_context", credentials_json=key)
        seen[name] = await who(session)
    seen["clearing"] = await call(session, "clear_credential_context")
    seen["cleared"] = await who(session)
    return seen


async def main(valetkey, config):
    keys = {name: assumed(account, name) for name, account in ACCOUNTS.items()}
    gateway = StdioServerParameters(
        command=valetkey, args=["serve", "--mcp-config", config], env=dict(os.environ)
    )
    async with stdio_client(gateway) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        seen = await work(session, keys)
    seen["left"] = children(os.getpid())
    heard = json.dumps(seen)
    secrets = [key[field] for key in keys.values() for field in ("secret_access_key", "session_token")]
    print(json.dumps({**seen, "heard": heard, "secrets": secrets}))


asyncio.run(main(*sys.argv[1:]))
