"""Fills an empty MiniStack with a broker account and two tenants, and prints what was made as JSON. Run: seed.py URL"""

import json
import sys

import boto3

BROKER, TENANTS = "999999999999", ("111111111111", "222222222222")
# Where the accounts' own things are. The stored credentials name another region, so that a test sees whose wins.
REGION, CREDENTIAL_REGION = "us-east-1", "us-west-2"


def client(url, account, service):
    """A client with the root key of `account`: the account number, with a secret that is the same everywhere."""
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id=account, aws_secret_access_key="test"
    )


def policy(actions, **more):
    statement = {"Effect": "Allow", "Action": actions, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def user(url, account, name, actions):
    iam = client(url, account, "iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="work", PolicyDocument=policy(actions, Resource="*"))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}


def role(url, account, external_id):
    iam = client(url, account, "iam")
    trust = policy(
        ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        Principal={"AWS": f"arn:aws:iam::{BROKER}:user/broker"},
        Condition={"StringEquals": {"sts:ExternalId": external_id}},
    )
    arn = iam.create_role(RoleName="agent", AssumeRolePolicyDocument=trust, MaxSessionDuration=3600)["Role"]["Arn"]
    actions = ["s3:*", "sts:GetCallerIdentity", "iam:ListRoles", "secretsmanager:GetSecretValue"]
    iam.put_role_policy(RoleName="agent", PolicyName="work", PolicyDocument=policy(actions, Resource="*"))
    return arn


def bucket(url, account):
    name = f"bucket-{account}"
    client(url, account, "s3").create_bucket(Bucket=name)
    return name


def secret(url, credential_id, key):
    name = f"valetkey/credentials/{credential_id}"
    value = json.dumps({**key, "region": CREDENTIAL_REGION})
    client(url, BROKER, "secretsmanager").create_secret(Name=name, SecretString=value)
    return name


def tenant(url, account):
    external_id, credential_id = f"ext-{account}", f"aws-cred-{account}"
    service = user(url, account, "service", ["s3:*", "sts:*", "secretsmanager:GetSecretValue"])
    return {
        "account": account,
        "role_arn": role(url, account, external_id),
        "external_id": external_id,
        "bucket": bucket(url, account),
        "service": service,
        "credential_id": credential_id,
        "secret_id": secret(url, credential_id, service),
    }


def main():
    url = sys.argv[1]
    reading = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    broker = user(url, BROKER, "broker", ["sts:*", *reading])
    tenants = [tenant(url, account) for account in TENANTS]
    print(json.dumps({"broker_account": BROKER, "broker": broker, "tenants": tenants}))


if __name__ == "__main__":
    main()
