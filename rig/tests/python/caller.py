"""Prints the caller's ARN by the SDK's default chain, or the error code."""

import boto3
from botocore.exceptions import ClientError

try:
    print(boto3.client("sts").get_caller_identity()["Arn"])
except ClientError as error:
    print(error.response["Error"]["Code"])
