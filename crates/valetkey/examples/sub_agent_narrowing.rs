//! A sub-agent with less authority than its session:
//! `cargo run -p valetkey --example sub_agent_narrowing --all-features`.
//!
//! The policy is part of the credentials, so AWS enforces it: here an in-process AWS, which evaluates session policies.
//! The session enforces the accounts and the lifetime. A narrowed session can be narrowed further, and never widened.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::error::Error;
use std::time::Duration;

use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use valetkey::backends::{AssumeRoleProvider, AwsClientConfig, MemoryProvider, SdkConfigExt};
use valetkey::{AccessScope, Credentials, Region, SecretString, SessionContext, SessionPolicy};
use valetkey_local_aws::{LocalAws, RoleSpec, SecretSpec, UserSpec};

const KEY: &str = "AKIADEMOPLATFORM0001";
const SECRET: &str = "demo-secret-of-the-platform";
const ROLE: &str = "arn:aws:iam::111111111111:role/agent";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let aws = LocalAws::builder()
        .user(UserSpec::new("999999999999", "platform", KEY, SECRET))
        .role(RoleSpec::new(ROLE).trusts("999999999999"))
        .secret(SecretSpec::new("111111111111", "orders/db", "demo-secret-of-the-database"))
        .start()
        .await?;
    let client_config = AwsClientConfig::new().region(&Region::us_east_1()).endpoint_url(aws.endpoint_url());
    let platform = Credentials::builder(KEY.parse()?, SecretString::from(SECRET)).build()?;
    let role = AssumeRoleProvider::builder(ROLE.parse()?, MemoryProvider::from(platform))
        .client_config(&client_config)
        .session_name("orders-agent")
        .build()?;
    let session = SessionContext::builder().provider(role).build();

    // Reading the configuration of secrets, but not their values, for ten minutes at most.
    let reading = AccessScope::new()
        .policy(SessionPolicy::read_only(["secretsmanager"])?)
        .lifetime(Duration::from_secs(600));
    let sub_agent = session.narrow(reading)?;

    print_access("the session", &session, &client_config).await?;
    print_access("the sub-agent", &sub_agent, &client_config).await?;

    // The sub-agent cannot widen what it has: the policies of parent and child are intersected.
    let wider: SessionPolicy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
        "Action": "secretsmanager:*", "Resource": "*"}}"#
        .parse()?;
    let child = sub_agent.narrow(AccessScope::new().policy(wider))?;
    print_access("its own sub-agent, with a wider policy", &child, &client_config).await?;

    // The end of a session is the end of all sessions that were narrowed from it.
    session.close();
    match sub_agent.credentials().await {
        Ok(_) => return Err("a narrowed session was served after its parent was closed".into()),
        Err(error) => println!("after the session: {error}"),
    }
    aws.stop().await?;
    Ok(())
}

/// Calls both actions, and prints the outcome of each.
async fn print_access(
    who: &str,
    session: &SessionContext,
    base: &AwsClientConfig,
) -> Result<(), Box<dyn Error>> {
    let secrets = aws_sdk_secretsmanager::Client::new(&session.sdk_config_from(base.config()).await?);
    let described = secrets.describe_secret().secret_id("orders/db").send().await;
    let value = secrets.get_secret_value().secret_id("orders/db").send().await;
    println!("{who}: DescribeSecret {}, GetSecretValue {}", outcome(described), outcome(value));
    Ok(())
}

fn outcome<T, E: ProvideErrorMetadata>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "allowed".to_owned(),
        Err(error) => error.code().unwrap_or("failed").to_owned(),
    }
}
