"""Assumes a role and prints its credentials as JSON. Run: assume.py ROLE SESSION_NAME [EXTERNAL_ID [SECONDS]]"""

import json
import sys

import boto3
from botocore.config import Config

# The server decides on sessions shorter than boto3 allows.
sts = boto3.client("sts", config=Config(parameter_validation=False))
role, name, *rest = sys.argv[1:]
arguments = {"RoleArn": role, "RoleSessionName": name}
if rest:
    arguments["ExternalId"] = rest[0]
if rest[1:]:
    arguments["DurationSeconds"] = int(rest[1])
print(json.dumps(sts.assume_role(**arguments)["Credentials"], default=lambda at: at.isoformat()))
