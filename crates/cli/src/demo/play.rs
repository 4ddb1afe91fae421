//! The play: two tenants at once, scene by scene.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use valetkey::mcp::CredentialEndpoint;
use valetkey::mcp::endpoint::{Grant, AdvertisedExpiry};

use super::child;
use super::report::Report;
use super::stage::Stage;
use super::tenant::{Identity, Tenant};
use crate::failure::Failure;

/// Calls of each tenant to its MCP server, all under way together.
const CALLS: usize = 10;
/// How long a call may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn play(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let endpoint = CredentialEndpoint::start().await;
    let endpoint =
        endpoint.map_err(|error| Failure::failed(format!("the endpoint did not start: {error}")))?;
    let [a, b] = &stage.tenants;
    let (a, b) = tokio::try_join!(Tenant::open(stage, a, &endpoint), Tenant::open(stage, b, &endpoint))?;
    late_binding(&a, report).await;
    stack_jobs(&a, &b, report).await?;
    sub_agents(&a, &b, report).await?;
    let pids = servers(&a, &b, report).await;
    rotation(&a, &b, report).await?;
    cross_read(&a, &b, &endpoint, report).await?;
    clearing(&a, &b, report).await?;
    trail(&a, &b, report);
    // Servers tell their own ids, and hosts those of the guardians beside them.
    let guardians = a.host.pids().chain(b.host.pids()).map(|(_, pid)| u64::from(pid));
    let pids: BTreeSet<u64> = pids.into_iter().chain(guardians).collect();
    tokio::join!(a.host.shutdown(), b.host.shutdown());
    endpoint.stop().await;
    let left: Vec<_> = pids.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
    report.step(
        "A+B",
        "no child process is left",
        left.is_empty(),
        format!("{} of {} left", left.len(), pids.len()),
    );
    Ok(())
}

async fn late_binding(a: &Tenant<'_>, report: &mut Report) {
    let listed = a.host.all_tools().await;
    let refused = a.ask_server(None).await;
    let seen = format!("{} tool listed, {} faults", listed.tools.len(), listed.faults.len());
    report.step(
        "A",
        "a server starts and lists without credentials",
        listed.tools.len() == 1 && listed.faults.is_empty(),
        seen,
    );
    report.step(
        "A",
        "a call without credentials is refused, and told what to do",
        is_told(&refused, "set_aws_credentials_context"),
        shown(&refused),
    );
}

async fn stack_jobs(a: &Tenant<'_>, b: &Tenant<'_>, report: &mut Report) -> Result<(), Failure> {
    let jobs =
        tokio::try_join!(a.take_stack_job(a.plan.credential_id), b.take_stack_job(b.plan.credential_id))?;
    for (tenant, output) in [(a, jobs.0), (b, jobs.1)] {
        report.step(
            tenant.plan.name,
            "stack job → credential id → credentials in the session",
            !output.is_error,
            output.text,
        );
    }
    Ok(())
}

async fn sub_agents(a: &Tenant<'_>, b: &Tenant<'_>, report: &mut Report) -> Result<(), Failure> {
    let (a1, a2, b1, b2) = tokio::try_join!(a.sub_agent(), a.sub_agent(), b.sub_agent(), b.sub_agent())?;
    for (tenant, first, second) in [(a, a1, a2), (b, b1, b2)] {
        let held = first == second && first.0 == tenant.plan.account;
        let seen = format!("both in {} with key …{}", first.0, first.1);
        report.step(tenant.plan.name, "two sub-agents share the session's credentials", held, seen);
    }
    Ok(())
}

/// The servers' process ids, as the servers told them.
async fn servers(a: &Tenant<'_>, b: &Tenant<'_>, report: &mut Report) -> BTreeSet<u64> {
    let calls = |tenant| join_all((0..CALLS).map(move |_| Tenant::ask_server(tenant, None)));
    let (of_a, of_b) = tokio::join!(calls(a), calls(b));
    let mut pids = BTreeSet::new();
    for (tenant, answers) in [(a, of_a), (b, of_b)] {
        let own = answers.iter().flatten().filter(|answer| answer.account == tenant.plan.account).count();
        pids.extend(answers.iter().flatten().map(|answer| answer.pid));
        let seen = format!("{own} of {CALLS} interleaved calls answered {}", tenant.plan.account);
        report.step(tenant.plan.name, "MCP tool calls act in the tenant's own account", own == CALLS, seen);
    }
    pids
}

async fn rotation(a: &Tenant<'_>, b: &Tenant<'_>, report: &mut Report) -> Result<(), Failure> {
    let (a_before, b_before) = tokio::join!(a.ask_server(None), b.ask_server(None));
    let generation = a.rotate().await?;
    let (a_after, b_after) = tokio::join!(a.ask_server(None), b.ask_server(None));
    let held = matches!((&a_before, &a_after), (Ok(before), Ok(after)) if before.pid == after.pid
        && before.account == after.account && before.key_suffix != after.key_suffix);
    let seen = format!("{} → {} (generation {generation})", shown(&a_before), shown(&a_after));
    report.step("A", "a rotated role reaches the running server, same pid", held, seen);
    report.step(
        "B",
        "the other tenant's server notices nothing",
        b_before.is_ok() && b_before == b_after,
        shown(&b_after),
    );
    Ok(())
}

async fn cross_read(
    a: &Tenant<'_>,
    b: &Tenant<'_>,
    endpoint: &CredentialEndpoint,
    report: &mut Report,
) -> Result<(), Failure> {
    let before = b.session.credentials().await?;
    let asked = b.take_stack_job(a.plan.credential_id).await?;
    let kept = b.session.credentials().await?.access_key_id() == before.access_key_id();
    // Refused by the service, which denies it or does not know it: not for want of an answer.
    let code = asked.structured.as_ref().map(|told| told["error"]["code"].clone()).unwrap_or_default();
    let refused = asked.is_error && (code == "denied" || code == "invalid");
    report.step("B", "asking for the other tenant's credential id is refused", refused, asked.text);
    report.step(
        "B",
        "the refusal costs the session nothing",
        kept,
        format!("still key …{}", before.access_key_id().last_four()),
    );
    let grant = |tenant: &Tenant<'_>| {
        Ok::<_, Failure>(endpoint.grant(tenant.session.account(&tenant.workload)?, "demo", AdvertisedExpiry::default()))
    };
    let (of_a, of_b) = (grant(a)?, grant(b)?);
    let own = read(&of_b, &of_b).await;
    let foreign = read(&of_a, &of_b).await;
    let seen = format!("own token: {own}, foreign token: {foreign}");
    report.step(
        "B",
        "a token opens its own session's endpoint and no other",
        own == "200" && foreign == "403",
        seen,
    );
    Ok(())
}

async fn clearing(a: &Tenant<'_>, b: &Tenant<'_>, report: &mut Report) -> Result<(), Failure> {
    let signal = std::env::temp_dir().join(format!("valetkey-demo-{}", uuid::Uuid::new_v4().simple()));
    let signal = signal.to_string_lossy();
    let arrived = format!("{signal}.waiting");
    let waiting = Map::from_iter([("once_exists".to_owned(), Value::from(&*signal))]);
    let clear = async {
        // The call has reached the server and waits there when the session is cleared under it.
        let _arrived = timeout(PATIENCE, child::exists(&arrived)).await;
        let cleared = a.tool("clear_credential_context", json!({})).await;
        (cleared, tokio::fs::write(&*signal, "").await)
    };
    let (in_flight, (cleared, _told)) = tokio::join!(a.ask_server(Some(waiting)), clear);
    for file in [&*signal, &arrived] {
        let _removed = tokio::fs::remove_file(file).await;
    }
    let cleared = cleared?;
    report.step("A", "the session is cleared", !cleared.is_error, cleared.text);
    // Refused by the endpoint, when the server asked it: not by the host, which had let the call through.
    report.step(
        "A",
        "the server that is still running is refused",
        is_told(&in_flight, "403"),
        shown(&in_flight),
    );
    let (next, other) = tokio::join!(a.ask_server(None), b.ask_server(None));
    report.step("A", "the next call is refused", is_told(&next, "cleared"), shown(&next));
    let held = other.as_ref().is_ok_and(|other| other.account == b.plan.account);
    report.step("B", "the other tenant works on", held, shown(&other));
    b.session.close();
    let closed = b.ask_server(None).await;
    report.step("B", "closed, it is refused as well", is_told(&closed, "closed"), shown(&closed));
    Ok(())
}

/// Whether the call was refused in words that hold `word`: a failure of another kind does not count.
fn is_told(answer: &Result<Identity, String>, word: &str) -> bool {
    answer.as_ref().is_err_and(|told| told.contains(word))
}

fn trail(a: &Tenant<'_>, b: &Tenant<'_>, report: &mut Report) {
    for tenant in [a, b] {
        let records = tenant.audit.records();
        let own = records.iter().all(|record| record.session == tenant.session.id());
        let seen = format!("{} records", records.len());
        report.step(
            tenant.plan.name,
            "every audit record names its own session",
            own && !records.is_empty(),
            seen,
        );
    }
}

/// Reads `url`'s credentials with `token`'s token, and gives back the status.
async fn read(url: &Grant, token: &Grant) -> String {
    let address = url.url();
    let Some((host, path)) = address.strip_prefix("http://").and_then(|rest| rest.split_once('/')) else {
        return "no address".to_owned();
    };
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        token.expose_token()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.split(' ').nth(1).unwrap_or("no answer").to_owned())
    };
    exchange.await.unwrap_or_else(|error| error.to_string())
}

fn shown(answer: &Result<Identity, String>) -> String {
    match answer {
        Ok(identity) => format!("{} key …{} pid {}", identity.account, identity.key_suffix, identity.pid),
        Err(refusal) => refusal.clone(),
    }
}
