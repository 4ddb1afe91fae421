//! Read-only access, service by service: the actions of the Service Authorization Reference that list and describe,
//! except those that return secrets, code or stored data.
//!
//! A prefix such as `Describe*` also matches actions that AWS adds later: review the table when a service is extended.

use super::glob::{Glob, Globs};
use super::statement::{Effect, Statement};
use crate::{Error, ErrorKind, Result};

/// The actions by service. Where a prefix would allow too much, the actions are listed one by one.
const READ_ACTIONS: &[(&str, &[&str])] = &[
    // Launch configurations hold user data.
    ("autoscaling", &["DescribeAutoScaling*", "DescribePolicies", "DescribeScaling*"]),
    // Excludes templates and their summaries: they describe what was deployed, not its state.
    ("cloudformation", &["Describe*", "List*"]),
    ("cloudtrail", &["Describe*", "GetEventSelectors", "GetTrail*", "List*", "LookupEvents"]),
    ("cloudwatch", &["Describe*", "Get*", "List*"]),
    // Not: GetItem, GetRecords, Query, Scan.
    ("dynamodb", &["Describe*", "List*"]),
    // Not: GetPasswordData, GetConsole*, GetLaunchTemplateData; user data is denied below.
    ("ec2", &["Describe*"]),
    // Not: GetAuthorizationToken, GetDownloadUrlForLayer, BatchGetImage.
    ("ecr", &["Describe*", "List*"]),
    ("ecs", &["Describe*", "List*"]),
    ("eks", &["Describe*", "List*"]),
    ("elasticloadbalancing", &["Describe*"]),
    ("events", &["Describe*", "List*"]),
    ("iam", &["Get*", "List*"]),
    // Not: Decrypt, GenerateDataKey*, GetParametersForImport.
    ("kms", &["Describe*", "GetKeyPolicy", "GetKeyRotationStatus", "List*"]),
    // Not: GetFunction and GetLayerVersion*, which return the address of the code.
    ("lambda", &["GetAccountSettings", "GetFunctionConfiguration", "GetPolicy", "List*"]),
    // Not: Unmask.
    ("logs", &["Describe*", "FilterLogEvents", "Get*", "List*", "StartQuery", "StopQuery"]),
    // Not: DownloadDBLogFilePortion.
    ("rds", &["Describe*", "ListTagsForResource"]),
    ("route53", &["Get*", "List*"]),
    // Not: GetObject*.
    (
        "s3",
        &[
            "GetBucket*",
            "GetEncryptionConfiguration",
            "GetLifecycleConfiguration",
            "ListAllMyBuckets",
            "ListBucket*",
        ],
    ),
    // Not: GetSecretValueInput, BatchGetSecretValue, GetRandomPassword.
    ("secretsmanager", &["DescribeSecret", "GetResourcePolicy", "ListSecret*"]),
    ("sns", &["Get*", "List*"]),
    // Not: ReceiveMessage.
    ("sqs", &["GetQueue*", "List*"]),
    // Not: GetParameter*, GetCommandInvocation, ListCommand*.
    ("ssm", &["Describe*", "ListAssociations", "ListDocuments"]),
    // Not: AssumeRole*, GetSessionToken, GetFederationToken.
    ("sts", &["GetCallerIdentity"]),
];

/// User data is a script, and scripts often hold passwords.
const USER_DATA_ACTIONS: [&str; 2] = ["ec2:DescribeInstanceAttribute", "ec2:DescribeLaunchTemplateVersions"];

/// Returns one statement that allows, and for `ec2` a second that denies what returns user data.
///
/// # Errors
/// `Invalid` for an unknown service, whose name is not repeated, and when no service is named.
pub(super) fn build_statements<'a>(services: impl IntoIterator<Item = &'a str>) -> Result<Vec<Statement>> {
    let mut actions = Vec::new();
    for service in services {
        let (_, reads) =
            READ_ACTIONS.iter().find(|(known, _)| *known == service).ok_or_else(unknown_service_error)?;
        actions.extend(reads.iter().map(|read| format!("{service}:{read}")));
    }
    if actions.is_empty() {
        return Err(Error::invalid("services", "must name one at least"));
    }
    let mut statements = vec![build_statement(Effect::Allow, &actions)?];
    if actions.iter().any(|action| action.starts_with("ec2:")) {
        statements.push(build_statement(Effect::Deny, &USER_DATA_ACTIONS.map(str::to_owned))?);
    }
    Ok(statements)
}

fn build_statement(effect: Effect, actions: &[String]) -> Result<Statement> {
    let globs = |globs: Result<Vec<Glob>, _>| {
        globs.map(Globs::new).map_err(|rule| Error::new(ErrorKind::Internal, format!("the table {rule}")))
    };
    let actions = globs(actions.iter().map(|action| Glob::parse_action(action)).collect())?;
    let resources = globs(Glob::parse_resource("*").map(|all| vec![all]))?;
    Ok(Statement::without_conditions(effect, actions, resources).minimized())
}

fn unknown_service_error() -> Error {
    let known: Vec<_> = READ_ACTIONS.iter().map(|(service, _)| *service).collect();
    Error::invalid("services", "names one that is not known here")
        .with_next_step(format!("write a policy of your own, or use: {}", known.join(", ")))
}
