//! The program of the quick start for Rust (`docs/quick-start/rust.md`), which calls AWS with the keys of the shell.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::error::Error;

use valetkey::SessionContext;
use valetkey::backends::{AssumeRoleProvider, AwsClientConfig, EnvProvider, SdkConfigExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client_config = AwsClientConfig::from_process().await; // once for each process
    let role = AssumeRoleProvider::builder(
        "arn:aws:iam::111111111111:role/agent".parse()?,
        EnvProvider::from_process(), // the keys that sign AssumeRole; they stay with the provider
    )
    .client_config(&client_config)
    .session_name("quick-start")
    .build()?;

    let session = SessionContext::builder().principal("alice".parse()?).provider(role);
    SessionContext::scope(session, async |session: SessionContext| {
        let sts = aws_sdk_sts::Client::new(&session.sdk_config_from(client_config.config()).await?);
        let identity = sts.get_caller_identity().send().await?;
        println!("{}", identity.arn().unwrap_or_default());
        Ok(())
    })
    .await // the session is closed here, also after an error or a panic
}
