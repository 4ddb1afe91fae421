//! Reading and nothing else: what is in, what is not, service by service.

use std::collections::BTreeMap;

use valetkey_core::{ErrorKind, SessionPolicy};

use super::evaluator::{ColonMatching, EvaluatedRequest, Evaluator};

const SERVICES: [&str; 23] = [
    "autoscaling",
    "cloudformation",
    "cloudtrail",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "eks",
    "elasticloadbalancing",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
];

fn is_allowed(policy: &SessionPolicy, action: &str) -> bool {
    let request = EvaluatedRequest { action, resource: "arn:aws:any:::thing", context: BTreeMap::new() };
    Evaluator::from_policy(policy).allows(&request, ColonMatching::NotCrossed)
}

#[test]
fn read_only_allows_useful_reads() {
    let all = SessionPolicy::read_only(SERVICES).unwrap();
    for action in [
        "autoscaling:DescribeAutoScalingGroups",
        "cloudformation:DescribeStackEvents",
        "cloudtrail:LookupEvents",
        "cloudwatch:GetMetricData",
        "dynamodb:DescribeTable",
        "ec2:DescribeSecurityGroups",
        "ecr:DescribeImages",
        "ecs:DescribeServices",
        "ecs:ListTasks",
        "eks:DescribeCluster",
        "elasticloadbalancing:DescribeTargetHealth",
        "events:ListRules",
        "iam:GetRolePolicy",
        "kms:DescribeKey",
        "lambda:GetFunctionConfiguration",
        "logs:FilterLogEvents",
        "logs:GetLogEvents",
        "rds:DescribeDBInstances",
        "route53:ListResourceRecordSets",
        "s3:GetBucketPolicy",
        "s3:ListBucket",
        "secretsmanager:DescribeSecret",
        "sns:GetTopicAttributes",
        "sqs:GetQueueAttributes",
        "ssm:DescribeParameters",
        "sts:GetCallerIdentity",
    ] {
        assert!(is_allowed(&all, action), "{action}");
    }
}

#[test]
fn read_only_denies_secrets_data_and_writes() {
    let all = SessionPolicy::read_only(SERVICES).unwrap();
    for action in [
        "autoscaling:DescribeLaunchConfigurations",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetConsoleOutput",
        "ec2:GetPasswordData",
        "ec2:RunInstances",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecs:ExecuteCommand",
        "iam:CreateAccessKey",
        "kms:Decrypt",
        "kms:GetParametersForImport",
        "lambda:GetFunction",
        "lambda:GetLayerVersion",
        "lambda:InvokeFunction",
        "logs:Unmask",
        "rds:DownloadDBLogFilePortion",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:PutObject",
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:GetRandomPassword",
        "secretsmanager:GetSecretValue",
        "sqs:ReceiveMessage",
        "ssm:GetCommandInvocation",
        "ssm:GetParameter",
        "ssm:GetParametersByPath",
        "ssm:StartSession",
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
        "sts:GetFederationToken",
        "sts:GetSessionToken",
    ] {
        assert!(!is_allowed(&all, action), "{action}");
    }
}

#[test]
fn read_only_allows_only_listed_services() {
    let some = SessionPolicy::read_only(["ecs", "logs"]).unwrap();
    assert!(is_allowed(&some, "ecs:ListTasks") && is_allowed(&some, "logs:GetLogEvents"));
    assert!(!is_allowed(&some, "ec2:DescribeInstances") && !is_allowed(&some, "ecs-other:ListTasks"));
    assert!(!some.to_string().contains("Deny"), "nothing needs to be denied: {some}");
}

#[test]
fn read_only_unknown_or_no_service_is_invalid() {
    let error = SessionPolicy::read_only(["ecs", "hunter2"]).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("services")));
    assert!(error.next_step().unwrap().contains("ecs") && !error.to_string().contains("hunter2"), "{error}");
    assert!(SessionPolicy::read_only([]).is_err());
}
