"""Prints which key boto3 found, where, and who it is with it."""

import boto3

session = boto3.Session()
found = session.get_credentials()
print(found.method, found.access_key, bool(found.token), session.client("sts").get_caller_identity()["Arn"])
