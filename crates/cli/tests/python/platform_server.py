"""An MCP server of a platform: returns stack jobs, and the keys of users that it creates in AWS.

Each secret that it returns is appended to the file KEYS_FILE, so that a test can look for it elsewhere.
"""

import os

import boto3
from mcp.server.fastmcp import FastMCP

ACCOUNT = "111111111111"
server = FastMCP("platform")


def client(service, key):
    return boto3.client(service, endpoint_url=os.environ["PLATFORM_AWS_URL"], region_name="us-east-1", **key)


def create_key(name):
    """Creates a user in the account, and returns its key."""
    sts = client("sts", {"aws_access_key_id": "platform", "aws_secret_access_key": "platform"})
    role = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/platform", RoleSessionName="platform")["Credentials"]
    names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey", "aws_session_token": "SessionToken"}
    iam = client("iam", {ours: role[theirs] for ours, theirs in names.items()})
    iam.create_user(UserName=name)
    return iam.create_access_key(UserName=name)["AccessKey"]


@server.tool()
def get_aws_credential(id: str) -> dict:
    """Returns AWS credentials by their id."""
    key = create_key(id.removeprefix("cred-"))
    with open(os.environ["KEYS_FILE"], "a") as file:
        print(key["AccessKeyId"], key["SecretAccessKey"], sep="\n", file=file)
    spec = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"], "region": "us-east-1"}
    return {"metadata": {"id": id}, "spec": spec}


@server.tool()
def get_stack_job(id: str) -> dict:
    """Returns a stack job."""
    return {"spec": {"provider_credential_id": f"cred-{id}", "target": {"spec": {"aws_account_region": "us-west-2"}}}}


server.run()
