"""Prepares the tenants of a seeded MiniStack for real servers: their role may do more, and each has a function.

Run: prepare_servers.py URL ACCOUNT ...
"""

import io
import json
import sys
import zipfile

import boto3

# The region of the session.
REGION = "eu-central-1"
ACTIONS = ["cloudtrail:*", "dynamodb:*", "ecs:*", "iam:*", "lambda:*", "schemas:*", "sns:*", "sqs:*", "sts:*"]


def prepare(url, account):
    def client(service):
        return boto3.client(
            service, endpoint_url=url, region_name=REGION, aws_access_key_id=account, aws_secret_access_key="test"
        )

    statement = {"Effect": "Allow", "Action": ACTIONS, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(RoleName="agent", PolicyName="servers", PolicyDocument=document)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return event\n")
    client("lambda").create_function(
        FunctionName=f"function_of_{account}",
        Description="Returns its event.",
        Runtime="python3.12",
        Handler="main.handler",
        Role=f"arn:aws:iam::{account}:role/agent",
        Code={"ZipFile": code.getvalue()},
    )


for name in sys.argv[2:]:
    prepare(sys.argv[1], name)
