//! One session from stack job to clean-up, without a network:
//! `cargo run -p valetkey --example full_flow --features tools`.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use valetkey::audit::InMemoryAudit;
use valetkey::backends::MemoryProvider;
use valetkey::tools::ToolSet;
use valetkey::{
    AccountName, Clock, Credentials, Error, ErrorKind, Expiry, MapResolver, Region, Result, SecretString,
    SessionContext, SystemClock,
};

#[tokio::main]
async fn main() -> Result<()> {
    let audit = Arc::new(InMemoryAudit::default());
    let resolver = MapResolver::new().with("aws-cred-42".parse()?, long_lived("AKIADEMOSTACKJOB0042")?);
    let session = SessionContext::builder()
        .principal("user-a".parse()?)
        .region(Region::us_east_1())
        .resolver(resolver)
        .audit(Arc::clone(&audit) as Arc<_>);
    let kept = SessionContext::scope(session, run_flow).await?;

    print_heading("the scope is over");
    expect_refusal("a handle that was kept", kept.credentials().await)?;
    print_heading("the audit log");
    for record in audit.records() {
        let key = record.key_suffix.map(|suffix| format!(" …{suffix}")).unwrap_or_default();
        let failure = record.failure.map(|kind| format!(": {}", kind.code())).unwrap_or_default();
        println!("   {:?}{key}{failure}", record.event);
    }
    Ok(())
}

async fn run_flow(session: SessionContext) -> Result<SessionContext> {
    let tools = ToolSet::for_session(session.clone());
    set_from_stack_job(&tools).await?;
    sub_agents(&session).await?;
    service_context(&tools).await?;
    rotation(&session).await?;
    switch_temporarily(&session).await?;
    clear(&session, &tools).await?;
    Ok(session)
}

/// The stack job names a credential id; the session's resolver turns it into credentials that no model sees.
async fn set_from_stack_job(tools: &ToolSet) -> Result<()> {
    print_heading("from a stack job to credentials");
    let job = |id: &str| {
        let target = json!({"spec": {"aws_account_region": "eu-central-1"}});
        json!({"stack_job_json": {"spec": {"provider_credential_id": id, "target": target}}})
    };
    call(tools, "extract_and_set_credentials_from_stack_job", job("aws-cred-42"), false).await?;
    call(tools, "extract_and_set_credentials_from_stack_job", job("aws-cred-of-another-user"), true).await?;
    call(tools, "get_aws_credentials_context", json!({}), false).await
}

/// Each sub-agent receives a clone of the session handle, and with it the same credentials.
async fn sub_agents(session: &SessionContext) -> Result<()> {
    print_heading("two sub-agents share the session");
    let read = async |name: &str, session: SessionContext| {
        let credentials = session.credentials().await?;
        print_credentials(name, &credentials);
        Ok::<_, Error>(credentials.access_key_id().clone())
    };
    let (ecs, logs) = tokio::join!(read("ecs", session.clone()), read("logs", session.clone()));
    let same = ecs.and_then(|ecs| Ok(ecs == logs?))?;
    ensure(same, "the sub-agents read different credentials")
}

async fn service_context(tools: &ToolSet) -> Result<()> {
    print_heading("facts on the service at hand");
    let facts = json!({"service_id": "orders-api", "cluster": "prod", "desired_count": 3});
    call(tools, "set_service_context_info", facts, false).await?;
    call(tools, "get_service_context_info", json!({}), false).await
}

/// An account with a provider rotates; the static credentials of the default account do not.
async fn rotation(session: &SessionContext) -> Result<()> {
    print_heading("a provider rotates");
    let (deploy, provider) =
        ("deploy".parse::<AccountName>()?, MemoryProvider::from(temporary("ASIADEMODEPLOY000001")?));
    session.for_account(&deploy).set_provider(provider.clone())?;
    let before = session.for_account(&deploy).credentials().await?;
    print_credentials("before", &before);
    let mut rotations = session.for_account(&deploy).watch_rotations()?;
    provider.set(temporary("ASIADEMODEPLOY000002")?);
    session.for_account(&deploy).refresh().await?;
    let generation = rotations.changed().await.map(|generation| generation.get());
    let after = session.for_account(&deploy).credentials().await?;
    print_credentials("after", &after);
    println!("   watchers received its number: {}", generation.unwrap_or_default());
    ensure(
        generation == Some(2) && after.access_key_id() != before.access_key_id(),
        "the rotation was not felt",
    )
}

/// Switches credentials temporarily in a child session: nothing has to be restored, and no sibling session is affected.
async fn switch_temporarily(session: &SessionContext) -> Result<()> {
    print_heading("a temporary switch");
    let child = session.with_credentials(temporary("ASIADEMOELEVATED0007")?)?;
    let (inside, outside) = (child.credentials().await?, session.credentials().await?);
    print_credentials("in the child", &inside);
    print_credentials("everywhere else", &outside);
    ensure(inside.access_key_id() != outside.access_key_id(), "the switch was seen by siblings")
}

async fn clear(session: &SessionContext, tools: &ToolSet) -> Result<()> {
    print_heading("clear");
    let child = session.with_credentials(temporary("ASIADEMOELEVATED0008")?)?;
    call(tools, "clear_credential_context", json!({}), false).await?;
    expect_refusal("the session", session.credentials().await)?;
    expect_refusal("its child", child.credentials().await)?;
    expect_refusal(
        "the account that a provider answered for",
        session.for_account(&"deploy".parse()?).credentials().await,
    )?;
    call(tools, "get_service_context_info", json!({}), true).await
}

/// Calls a tool, prints the result that a model would see, and checks whether the call succeeded.
async fn call(tools: &ToolSet, name: &str, input: Value, fails: bool) -> Result<()> {
    let output = tools.call(name, input).await.ok_or_else(|| internal_error("there is no such tool"))?;
    println!("   {name}\n     → {}", output.text);
    ensure(output.is_error == fails, "the tool did not end as it should")
}

fn expect_refusal(who: &str, answer: Result<Credentials>) -> Result<()> {
    let error = answer.err().ok_or_else(|| internal_error("credentials were served after the end"))?;
    println!("   {who}: {error}");
    Ok(())
}

fn print_credentials(who: &str, credentials: &Credentials) {
    let (key, provider) = (credentials.access_key_id().last_four(), credentials.provider());
    println!("   {who}: …{key}, by {provider}, expires {}", credentials.expiry());
}

fn print_heading(title: &str) {
    println!("\n{title}");
}

fn ensure(condition: bool, message: &'static str) -> Result<()> {
    if condition { Ok(()) } else { Err(internal_error(message)) }
}

fn internal_error(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, what)
}

fn long_lived(key: &str) -> Result<Credentials> {
    Credentials::builder(key.parse()?, SecretString::from(format!("demo-secret-of-{key}"))).build()
}

fn temporary(key: &str) -> Result<Credentials> {
    Credentials::builder(key.parse()?, SecretString::from(format!("demo-secret-of-{key}")))
        .session_token(SecretString::from(format!("demo-secret-token-of-{key}")))
        .expiry(Expiry::At(SystemClock.now() + Duration::from_secs(3600)))
        .provider("demo")
        .build()
}
