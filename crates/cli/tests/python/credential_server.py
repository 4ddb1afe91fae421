"""An MCP server of a platform: returns the credentials that a stack job names, and the status of the job."""

import os
import sys

from mcp.server.fastmcp import FastMCP

server = FastMCP("platform")


@server.tool()
def get_aws_credential(id: str) -> dict:
    """Returns AWS credentials by their id."""
    if id != "cred-1":
        raise ValueError(f"there is no credential {id}")
    print("credential read", file=sys.stderr)
    return {
        "metadata": {"id": id},
        "spec": {"access_key_id": "AKIA_JOB", "secret_access_key": "secret_job"},
        "region": "us-west-2",
    }


@server.tool()
def get_stack_job(id: str) -> dict:
    """Returns a stack job, and whether this server has AWS keys."""
    has_keys = any(name.startswith("AWS_CONTAINER") or name == "AWS_ACCESS_KEY_ID" for name in os.environ)
    return {"spec": {"provider_credential_id": "cred-1"}, "job": id, "has_keys": has_keys}


server.run()
