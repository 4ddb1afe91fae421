"""Calls several services with boto3, and prints what the calls return, without random ids."""
import hashlib
import json

import boto3

results = {}


def record(name, value):
    results[name] = value


s3 = boto3.client("s3")
s3.create_bucket(Bucket="proxied")
s3.put_object(Bucket="proxied", Key="a b/ü//+%.txt", Body=b"small", Metadata={"k": "v"})
found = s3.get_object(Bucket="proxied", Key="a b/ü//+%.txt")
record("s3:GetObject", [found["Body"].read().decode(), found["Metadata"]])
record("s3:ListObjectsV2", [item["Key"] for item in s3.list_objects_v2(Bucket="proxied")["Contents"]])
upload = s3.create_multipart_upload(Bucket="proxied", Key="large")["UploadId"]
parts = [b"x" * (5 * 1024 * 1024), b"end"]
tags = [
    {"PartNumber": number, "ETag": s3.upload_part(
        Bucket="proxied", Key="large", PartNumber=number, UploadId=upload, Body=part)["ETag"]}
    for number, part in enumerate(parts, 1)
]
s3.complete_multipart_upload(Bucket="proxied", Key="large", UploadId=upload, MultipartUpload={"Parts": tags})
large = s3.get_object(Bucket="proxied", Key="large")["Body"].read()
record("s3:UploadPart", hashlib.sha256(large).hexdigest())
try:
    s3.get_object(Bucket="proxied", Key="none")
except s3.exceptions.NoSuchKey as error:
    record("s3:NoSuchKey", error.response["Error"]["Code"])

dynamodb = boto3.client("dynamodb")
dynamodb.create_table(
    TableName="t", BillingMode="PAY_PER_REQUEST",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
)
dynamodb.put_item(TableName="t", Item={"id": {"S": "1"}, "n": {"N": "7"}})
record("dynamodb:GetItem", dynamodb.get_item(TableName="t", Key={"id": {"S": "1"}})["Item"])

sqs = boto3.client("sqs")
queue = sqs.create_queue(QueueName="q")["QueueUrl"]
sqs.send_message(QueueUrl=queue, MessageBody="hello")
record("sqs:ReceiveMessage", [item["Body"] for item in sqs.receive_message(QueueUrl=queue)["Messages"]])

record("sts:GetCallerIdentity", boto3.client("sts").get_caller_identity()["Account"])

secrets = boto3.client("secretsmanager")
secrets.create_secret(Name="s", SecretString="v")
record("secretsmanager:GetSecretValue", secrets.get_secret_value(SecretId="s")["SecretString"])

logs = boto3.client("logs")
logs.create_log_group(logGroupName="g")
record("logs:DescribeLogGroups", [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]])

ecs = boto3.client("ecs")
ecs.create_cluster(clusterName="c")
record("ecs:ListClusters", ecs.list_clusters()["clusterArns"])

iam = boto3.client("iam")
iam.create_user(UserName="u")
record("iam:GetUser", iam.get_user(UserName="u")["User"]["UserName"])

ec2 = boto3.client("ec2")
record("ec2:DescribeRegions", len(ec2.describe_regions()["Regions"]) > 10)

record("cloudwatch:PutMetricData", boto3.client("cloudwatch").put_metric_data(
    Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.0}])["ResponseMetadata"]["HTTPStatusCode"])

topic = boto3.client("sns").create_topic(Name="n")["TopicArn"]
record("sns:ListTopics", [item["TopicArn"] == topic for item in boto3.client("sns").list_topics()["Topics"]])

print(json.dumps(results, sort_keys=True))
