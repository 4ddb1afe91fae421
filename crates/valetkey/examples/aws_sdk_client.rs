//! An AWS SDK client with a session's credentials: `cargo run -p valetkey --example aws_sdk_client --all-features`.
//!
//! The client follows each rotation of the role, and is refused as soon as the session is cleared. The example calls an
//! in-process STS; without `client_config` and with `session.sdk_config()`, the same code calls AWS.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::error::Error;

use valetkey::backends::{AssumeRoleProvider, AwsClientConfig, MemoryProvider, SdkConfigExt};
use valetkey::{Credentials, Region, SecretString, SessionContext};
use valetkey_local_aws::{LocalAws, RoleSpec, UserSpec};

const KEY: &str = "AKIADEMOPLATFORM0001";
const SECRET: &str = "demo-secret-of-the-platform";
const ROLE: &str = "arn:aws:iam::111111111111:role/agent";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let aws = LocalAws::builder()
        .user(UserSpec::new("999999999999", "platform", KEY, SECRET))
        .role(RoleSpec::new(ROLE).trusts("999999999999"))
        .start()
        .await?;
    let client_config = AwsClientConfig::new().region(&Region::us_east_1()).endpoint_url(aws.endpoint_url());
    let platform = Credentials::builder(KEY.parse()?, SecretString::from(SECRET)).build()?;
    let role = AssumeRoleProvider::builder(ROLE.parse()?, MemoryProvider::from(platform))
        .client_config(&client_config)
        .session_name("orders-agent")
        .build()?;

    let session = SessionContext::builder().provider(role);
    SessionContext::scope(session, async |session: SessionContext| use_client(session, &client_config).await)
        .await?;
    aws.stop().await?;
    Ok(())
}

async fn use_client(session: SessionContext, base: &AwsClientConfig) -> Result<(), Box<dyn Error>> {
    let sts = aws_sdk_sts::Client::new(&session.sdk_config_from(base.config()).await?);
    let caller = async || sts.get_caller_identity().send().await;

    let identity = caller().await?;
    println!("the client acts as {}", identity.arn().unwrap_or_default());

    let before = session.credentials().await?.access_key_id().clone();
    session.refresh().await?;
    let after = session.credentials().await?.access_key_id().clone();
    caller().await?;
    println!("the role was assumed again, new key: {}; the same client continues", before != after);

    session.clear();
    match caller().await {
        Ok(_) => return Err("the client was served after the session was cleared".into()),
        Err(error) => println!("after clearing: {}", root_cause(&error)),
    }
    Ok(())
}

/// The SDK reports its own failure first; the session's error is the innermost cause.
fn root_cause(error: &dyn Error) -> &dyn Error {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}
