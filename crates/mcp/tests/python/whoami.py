"""An MCP server with one STS client, which caches its credentials as long as boto3 likes. With the argument `eager`, it
creates the client when it starts, as many servers do: boto3 then fetches credentials at once."""

import sys
from functools import cache

import boto3
from mcp.server.fastmcp import FastMCP

server = FastMCP("whoami")


@cache
def sts():
    return boto3.client("sts")


@server.tool()
def whoami() -> str:
    """The caller's ARN."""
    return sts().get_caller_identity()["Arn"]


if "eager" in sys.argv:
    sts()
server.run()
