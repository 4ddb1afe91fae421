"""Does what a broker does, and prints the result or the error code. Run: broker.py assume ROLE EXTERNAL_ID | secret ID"""

import sys

import boto3
from botocore.exceptions import ClientError


def assume(role, external_id):
    sts = boto3.client("sts")
    return sts.assume_role(RoleArn=role, RoleSessionName="rig", ExternalId=external_id)["AssumedRoleUser"]["Arn"]


def secret(secret_id):
    return boto3.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]


try:
    print({"assume": assume, "secret": secret}[sys.argv[1]](*sys.argv[2:]))
except ClientError as error:
    print(error.response["Error"]["Code"])
