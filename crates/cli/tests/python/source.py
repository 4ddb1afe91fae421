"""Prints where boto3 found its credentials, who it is with them, and where."""

import boto3

session = boto3.Session()
identity = session.client("sts").get_caller_identity()
print(session.get_credentials().method, identity["Arn"], session.region_name)
