//! One session, several AWS accounts: `cargo run -p valetkey --example multi_account --all-features`.
//!
//! Code and models name an account by its alias. Each alias has a provider and a region of its own, and its credentials
//! rotate on their own. An in-process STS takes the part of AWS.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::error::Error;

use valetkey::backends::{AssumeRoleProvider, AwsClientConfig, MemoryProvider, SdkConfigExt};
use valetkey::{AccountName, Credentials, Region, SecretString, SessionContext};
use valetkey_local_aws::{LocalAws, RoleSpec, UserSpec};

const KEY: &str = "AKIADEMOPLATFORM0001";
const SECRET: &str = "demo-secret-of-the-platform";
/// Alias, role and region of each account.
const ACCOUNTS: [(&str, &str, &str); 2] = [
    ("prod", "arn:aws:iam::111111111111:role/agent", "eu-central-1"),
    ("staging", "arn:aws:iam::222222222222:role/agent", "us-east-1"),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut spec = LocalAws::builder().user(UserSpec::new("999999999999", "platform", KEY, SECRET));
    for (_, role, _) in ACCOUNTS {
        spec = spec.role(RoleSpec::new(role).trusts("999999999999"));
    }
    let aws = spec.start().await?;
    let client_config = AwsClientConfig::new().region(&Region::us_east_1()).endpoint_url(aws.endpoint_url());

    let session = open_session(&client_config)?;
    for name in session.accounts() {
        println!("{name}: {}", caller_arn(&session, &name, &client_config).await?);
    }
    for account in session.status().accounts {
        let default = if account.default { ", the default" } else { "" };
        let region = account.region.map(|region| region.to_string()).unwrap_or_default();
        println!("{} is used in {region}{default}", account.account);
    }

    // Only the host adds accounts: an alias that it did not configure is an error, never another identity.
    let unknown: AccountName = "billing".parse()?;
    match session.account(&unknown) {
        Ok(_) => return Err("an account that was not configured was found".into()),
        Err(error) => println!("billing: {error}"),
    }

    // To clear one account does not affect the others.
    let (prod, staging): (AccountName, AccountName) = ("prod".parse()?, "staging".parse()?);
    session.account(&prod)?.clear()?;
    let refused = session.account(&prod)?.credentials().await.is_err();
    let served = session.account(&staging)?.credentials().await.is_ok();
    println!("prod is cleared: {refused}; staging is still served: {served}");
    session.close();
    aws.stop().await?;
    Ok(())
}

fn open_session(client_config: &AwsClientConfig) -> Result<SessionContext, Box<dyn Error>> {
    let platform = Credentials::builder(KEY.parse()?, SecretString::from(SECRET)).build()?;
    let mut session = SessionContext::builder().default_account("prod".parse()?);
    for (name, role, region) in ACCOUNTS {
        let provider = AssumeRoleProvider::builder(role.parse()?, MemoryProvider::from(platform.clone()))
            .client_config(client_config)
            .session_name("deployment-agent")
            .build()?;
        session = session
            .provider_for(name.parse()?, provider)
            .region_for(name.parse()?, region.parse::<Region>()?);
    }
    Ok(session.build())
}

async fn caller_arn(
    session: &SessionContext,
    name: &AccountName,
    base: &AwsClientConfig,
) -> Result<String, Box<dyn Error>> {
    let config = session.account(name)?.sdk_config_from(base.config()).await?;
    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await?;
    Ok(identity.arn().unwrap_or_default().to_owned())
}
