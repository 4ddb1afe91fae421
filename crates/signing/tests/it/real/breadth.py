"""Calls many services with boto3, and prints the shape of each response: its keys, its types, and the texts of the input."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

NAME = "proxied-name"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
MACHINE = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
TEMPLATE = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
KEY = {"AttributeName": "id", "AttributeType": "S"}
CALLS = [
    ("s3", "create_bucket", {"Bucket": NAME}),
    ("s3", "put_bucket_tagging", {"Bucket": NAME, "Tagging": {"TagSet": [{"Key": "k", "Value": "v"}]}}),
    ("s3", "get_bucket_tagging", {"Bucket": NAME}),
    ("s3", "put_bucket_versioning", {"Bucket": NAME, "VersioningConfiguration": {"Status": "Enabled"}}),
    ("s3", "list_object_versions", {"Bucket": NAME}),
    ("s3", "head_bucket", {"Bucket": NAME}),
    ("s3", "delete_objects", {"Bucket": NAME, "Delete": {"Objects": [{"Key": "none"}]}}),
    ("dynamodb", "create_table", {"TableName": NAME, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [KEY],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}),
    ("dynamodb", "put_item", {"TableName": NAME, "Item": {"id": {"S": "one"}}}),
    ("dynamodb", "scan", {"TableName": NAME}),
    ("dynamodb", "update_item", {"TableName": NAME, "Key": {"id": {"S": "one"}}, "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}}}),
    ("dynamodb", "transact_write_items", {"TransactItems": [{"Put": {"TableName": NAME, "Item": {"id": {"S": "two"}}}}]}),
    ("dynamodbstreams", "list_streams", {"TableName": NAME}),
    ("sqs", "create_queue", {"QueueName": NAME}),
    ("sqs", "get_queue_url", {"QueueName": NAME}),
    ("sqs", "list_queues", {}),
    ("sns", "create_topic", {"Name": NAME}),
    ("sns", "list_subscriptions", {}),
    ("sts", "get_caller_identity", {}),
    ("secretsmanager", "create_secret", {"Name": NAME, "SecretString": "value"}),
    ("secretsmanager", "describe_secret", {"SecretId": NAME}),
    ("secretsmanager", "list_secrets", {}),
    ("ssm", "put_parameter", {"Name": NAME, "Value": "value", "Type": "String"}),
    ("ssm", "get_parameter", {"Name": NAME}),
    ("ssm", "describe_parameters", {}),
    ("kms", "create_key", {"Description": NAME}),
    ("kms", "create_alias", {"AliasName": "alias/" + NAME, "TargetKeyId": "{kms.KeyId}"}),
    ("kms", "encrypt", {"KeyId": "alias/" + NAME, "Plaintext": b"text"}),
    ("kms", "list_aliases", {}),
    ("logs", "create_log_group", {"logGroupName": NAME}),
    ("logs", "create_log_stream", {"logGroupName": NAME, "logStreamName": NAME}),
    ("logs", "put_log_events", {"logGroupName": NAME, "logStreamName": NAME, "logEvents": [{"timestamp": 1, "message": "m"}]}),
    ("logs", "filter_log_events", {"logGroupName": NAME}),
    ("ecs", "create_cluster", {"clusterName": NAME}),
    ("ecs", "describe_clusters", {"clusters": [NAME]}),
    ("iam", "create_role", {"RoleName": NAME, "AssumeRolePolicyDocument": TRUST}),
    ("iam", "get_role", {"RoleName": NAME}),
    ("iam", "list_roles", {}),
    ("lambda", "create_function", {"FunctionName": NAME, "Runtime": "python3.12", "Handler": "a.b",
        "Role": "{iam.Arn}", "Code": {"ZipFile": b"PK\x05\x06" + b"\0" * 18}}),
    ("lambda", "get_function", {"FunctionName": NAME}),
    ("lambda", "list_functions", {}),
    ("ec2", "describe_vpcs", {}),
    ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}),
    ("ec2", "create_security_group", {"GroupName": NAME, "Description": "a & b <c>"}),
    ("cloudwatch", "put_metric_alarm", {"AlarmName": NAME, "MetricName": "m", "Namespace": "n", "Statistic": "Sum",
        "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}),
    ("cloudwatch", "describe_alarms", {}),
    ("kinesis", "create_stream", {"StreamName": NAME, "ShardCount": 1}),
    ("kinesis", "put_record", {"StreamName": NAME, "Data": b"data", "PartitionKey": "k"}),
    ("kinesis", "list_shards", {"StreamName": NAME}),
    ("firehose", "list_delivery_streams", {}),
    ("events", "put_rule", {"Name": NAME, "ScheduleExpression": "rate(5 minutes)"}),
    ("events", "list_rules", {}),
    ("stepfunctions", "create_state_machine", {"name": NAME, "definition": MACHINE, "roleArn": "{iam.Arn}"}),
    ("stepfunctions", "list_state_machines", {}),
    ("ecr", "create_repository", {"repositoryName": NAME}),
    ("ecr", "describe_repositories", {}),
    ("cloudformation", "create_stack", {"StackName": NAME, "TemplateBody": TEMPLATE}),
    ("cloudformation", "describe_stacks", {"StackName": NAME}),
    ("route53", "create_hosted_zone", {"Name": "example.com", "CallerReference": "one"}),
    ("route53", "list_hosted_zones", {}),
    ("apigateway", "create_rest_api", {"name": NAME}),
    ("apigateway", "get_rest_apis", {}),
    ("apigatewayv2", "create_api", {"Name": NAME, "ProtocolType": "HTTP"}),
    ("athena", "list_work_groups", {}),
    ("glue", "create_database", {"DatabaseInput": {"Name": NAME}}),
    ("glue", "get_databases", {}),
    ("efs", "create_file_system", {"CreationToken": NAME}),
    ("efs", "describe_file_systems", {}),
    ("rds", "describe_db_instances", {}),
    ("elbv2", "describe_load_balancers", {}),
    ("autoscaling", "describe_auto_scaling_groups", {}),
    ("organizations", "create_organization", {"FeatureSet": "ALL"}),
    ("organizations", "list_accounts", {}),
    ("acm", "request_certificate", {"DomainName": "example.com"}),
    ("acm", "list_certificates", {}),
    ("cognito-idp", "create_user_pool", {"PoolName": NAME}),
    ("ses", "list_identities", {}),
    ("sesv2", "list_contact_lists", {}),
    ("eks", "list_clusters", {}),
    ("scheduler", "list_schedules", {}),
    ("opensearch", "list_domain_names", {}),
    ("iot", "create_thing", {"thingName": NAME}),
    ("iot", "list_things", {}),
    ("resourcegroupstaggingapi", "get_resources", {}),
    ("s3", "get_object", {"Bucket": NAME, "Key": "none"}),
    ("dynamodb", "describe_table", {"TableName": "none"}),
    ("lambda", "get_function", {"FunctionName": "none"}),
    ("sqs", "get_queue_url", {"QueueName": "none"}),
    ("iam", "get_role", {"RoleName": "none"}),
]
found = {}


def texts(value):
    if isinstance(value, dict):
        return set().union(*[texts(item) for item in value.values()]) if value else set()
    if isinstance(value, list):
        return set().union(*[texts(item) for item in value]) if value else set()
    return {value} if isinstance(value, str) else set()


def shape(value, known):
    if isinstance(value, dict):
        # Ids of versions are keys.
        names = {key: "id" if len(key) == 36 else key for key in value if key != "ResponseMetadata"}
        return {name: shape(value[key], known) for key, name in names.items()}
    if isinstance(value, list):
        return sorted((shape(item, known) for item in value), key=json.dumps)
    return value if isinstance(value, bool) or (isinstance(value, str) and value in known) else type(value).__name__


def filled(value):
    return found.get(value, value) if isinstance(value, str) else value


results = []
for service, operation, arguments in CALLS:
    client = boto3.client(service, config=Config(retries={"total_max_attempts": 1}))
    arguments = {key: filled(value) for key, value in arguments.items()}
    try:
        response = getattr(client, operation)(**arguments)
        result = shape(response, texts(arguments) | {NAME})
    except ClientError as error:
        response, result = {}, {"error": error.response["Error"]}
    for part in ("KeyMetadata", "Role"):
        for name in ("KeyId", "Arn"):
            if isinstance(response.get(part), dict) and name in response[part]:
                found["{%s.%s}" % (service, name)] = response[part][name]
    results.append([service, operation, result])
print(json.dumps(results, sort_keys=True))
