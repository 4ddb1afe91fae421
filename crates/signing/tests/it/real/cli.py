"""Runs commands of the AWS CLI in this process, and prints the output and the exit code of each."""
import contextlib
import io
import json
import os
import pathlib

from awscli.clidriver import create_clidriver

NAME = "proxied-name"
# Version 1 of the CLI does not use the variables for these services.
ENDPOINT = "--endpoint-url " + os.environ["AWS_ENDPOINT_URL"]
SOURCE = pathlib.Path("source.bin")
SOURCE.write_bytes(b"0123456789abcdef" * 1024 * 1024)
ITEM = json.dumps({"id": {"S": "1"}, "n": {"N": "7"}})
SCHEMA = "AttributeName=id,KeyType=HASH --attribute-definitions AttributeName=id,AttributeType=S"
COMMANDS = [
    f"s3 mb s3://{NAME}",
    # Larger than the limit from which the CLI uploads in parts.
    f"s3 cp {SOURCE} s3://{NAME}/large --no-progress",
    f"s3 cp s3://{NAME}/large copy.bin --no-progress",
    f"s3 cp s3://{NAME}/large s3://{NAME}/second --no-progress",
    f"s3 rm s3://{NAME}/second",
    f"s3api list-objects-v2 --bucket {NAME} --query Contents[].[Key,Size]",
    f"s3api get-object --bucket {NAME} --key none none.bin",
    "sts get-caller-identity --query Account",
    f"dynamodb create-table --table-name {NAME} --billing-mode PAY_PER_REQUEST --key-schema {SCHEMA}"
    " --query TableDescription.TableName",
    f"dynamodb put-item --table-name {NAME} --item {ITEM.replace(' ', '')}",
    f"dynamodb scan --table-name {NAME}",
    f"sqs create-queue {ENDPOINT} --queue-name {NAME} --query QueueUrl!=null",
    f"sqs list-queues {ENDPOINT} --queue-name-prefix {NAME} --query length(QueueUrls)",
    f"secretsmanager create-secret --name {NAME} --secret-string value --query Name",
    f"secretsmanager get-secret-value --secret-id {NAME} --query SecretString",
    f"logs create-log-group --log-group-name {NAME}",
    "logs describe-log-groups --query logGroups[].logGroupName",
    f"ecs create-cluster --cluster-name {NAME} --query cluster.clusterArn",
    "ecs describe-clusters --clusters none",
    f"iam create-user --user-name {NAME} --query User.Arn",
    "iam get-user --user-name none",
    "ec2 describe-regions --query length(Regions)",
    f"cloudwatch put-metric-data --namespace {NAME} --metric-name m --value 1",
    f"ssm put-parameter --name {NAME} --value v --type String --query Version",
    f"ssm get-parameter --name {NAME} --query Parameter.Value",
    "lambda get-function --function-name none",
    f"sns create-topic --name {NAME} --query TopicArn",
]


def run(command):
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = create_clidriver().main(command.split())
    return [command.replace(ENDPOINT, ""), code, output.buffer.getvalue().decode()]


results = [run(command) for command in COMMANDS]
print(json.dumps({"results": results, "equal": pathlib.Path("copy.bin").read_bytes() == SOURCE.read_bytes()}))
