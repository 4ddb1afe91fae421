"""An MCP server on the AWS SDK: each of its tools lists a bucket and writes to it, and reports how far it came."""

import os

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from mcp.server.fastmcp import FastMCP

server = FastMCP("buckets")
clients = {}


def s3():
    """Made once, which needs credentials; kept, as servers do."""
    return clients.setdefault("s3", boto3.client("s3"))


def tried(act):
    try:
        act()
        return "done"
    except ClientError as error:
        return error.response["Error"]["Code"]
    except BotoCoreError as error:
        return type(error).__name__


def everything(bucket: str) -> dict:
    return {
        "list": tried(lambda: s3().list_objects_v2(Bucket=bucket)),
        "put": tried(lambda: s3().put_object(Bucket=bucket, Key="note", Body=b"text")),
        "pid": os.getpid(),
    }


for name in ("reader", "writer", "anything"):
    server.add_tool(everything, name=name)
server.run()
