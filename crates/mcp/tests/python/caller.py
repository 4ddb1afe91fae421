"""One boto3 session on the default chain: reads lines of input, `caller` or `objects BUCKET`, and prints a line for each."""

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

clients = {}


def client(service):
    """Made once, which needs credentials; kept, as programs do."""
    if service not in clients:
        clients[service] = boto3.client(service)
    return clients[service]


def answer(what, *arguments):
    try:
        if what == "objects":
            found = client("s3").list_objects_v2(Bucket=arguments[0])
            return f"{found['KeyCount']} objects"
        return client("sts").get_caller_identity()["Arn"]
    except ClientError as error:
        return error.response["Error"]["Code"]
    except BotoCoreError as error:
        return type(error).__name__


for line in sys.stdin:
    print(answer(*line.split()), flush=True)
