"""An MCP server with one STS client, which caches its credentials as long as boto3 likes."""

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


server.run()
