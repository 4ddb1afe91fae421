//! The scenario of the demo: two tenants at once, step by step.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use valetkey::mcp::CredentialEndpoint;
use valetkey::mcp::endpoint::{AdvertisedExpiry, Grant};

use super::child;
use super::env::DemoEnv;
use super::report::DemoReport;
use super::tenant::{DemoTenant, ServerIdentity};
use crate::error::CliError;

/// The number of concurrent calls of each tenant to its MCP server.
const CALLS_PER_TENANT: usize = 10;
/// The timeout for a call to arrive at the server.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout for killed processes to end, and the interval at which they are looked at.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

pub(super) async fn run_scenario(env: &DemoEnv, report: &mut DemoReport) -> Result<(), CliError> {
    let endpoint = CredentialEndpoint::start().await;
    let endpoint =
        endpoint.map_err(|error| CliError::failed(format!("the endpoint did not start: {error}")))?;
    let [a, b] = &env.tenants;
    let (a, b) = tokio::try_join!(DemoTenant::open(env, a, &endpoint), DemoTenant::open(env, b, &endpoint))?;
    check_late_binding(&a, report).await;
    check_stack_jobs(&a, &b, report).await?;
    check_sub_agents(&a, &b, report).await?;
    let pids = check_servers(&a, &b, report).await;
    check_rotation(&a, &b, report).await?;
    check_cross_tenant_read(&a, &b, &endpoint, report).await?;
    check_clearing(&a, &b, report).await?;
    check_audit(&a, &b, report);
    // Servers report their own process ids; hosts report those of the guardians that run the servers.
    let guardians = a.host.pids().chain(b.host.pids()).map(|(_, pid)| u64::from(pid));
    let pids: BTreeSet<u64> = pids.into_iter().chain(guardians).collect();
    tokio::join!(a.host.shutdown(), b.host.shutdown());
    endpoint.stop().await;
    let remaining = count_remaining(&pids).await;
    report.record(
        "A+B",
        "no child process is left",
        remaining == 0,
        format!("{remaining} of {} left", pids.len()),
    );
    Ok(())
}

/// Waits for the processes to end, and returns how many have not. A server whose guardian was killed is no child of this
/// process, so it may end a moment after the shutdown.
async fn count_remaining(pids: &BTreeSet<u64>) -> usize {
    let all_ended = async {
        while pids.iter().any(|pid| is_running(*pid)) {
            sleep(POLL_INTERVAL).await;
        }
    };
    let _elapsed = timeout(EXIT_TIMEOUT, all_ended).await;
    pids.iter().filter(|pid| is_running(**pid)).count()
}

/// Whether the process exists and has not ended. A zombie has ended.
fn is_running(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

async fn check_late_binding(a: &DemoTenant<'_>, report: &mut DemoReport) {
    let listed = a.host.all_tools().await;
    let refused = a.call_server(None).await;
    let seen = format!("{} tool listed, {} faults", listed.tools.len(), listed.errors.len());
    report.record(
        "A",
        "a server starts and lists without credentials",
        listed.tools.len() == 1 && listed.errors.is_empty(),
        seen,
    );
    report.record(
        "A",
        "a call without credentials is refused with a remedy",
        is_refused_with(&refused, "set_aws_credentials_context"),
        call_summary(&refused),
    );
}

async fn check_stack_jobs(
    a: &DemoTenant<'_>,
    b: &DemoTenant<'_>,
    report: &mut DemoReport,
) -> Result<(), CliError> {
    let jobs =
        tokio::try_join!(a.submit_stack_job(a.plan.credential_id), b.submit_stack_job(b.plan.credential_id))?;
    for (tenant, output) in [(a, jobs.0), (b, jobs.1)] {
        report.record(
            tenant.plan.name,
            "stack job → credential id → credentials in the session",
            !output.is_error,
            output.text,
        );
    }
    Ok(())
}

async fn check_sub_agents(
    a: &DemoTenant<'_>,
    b: &DemoTenant<'_>,
    report: &mut DemoReport,
) -> Result<(), CliError> {
    let (a1, a2, b1, b2) =
        tokio::try_join!(a.run_sub_agent(), a.run_sub_agent(), b.run_sub_agent(), b.run_sub_agent())?;
    for (tenant, first, second) in [(a, a1, a2), (b, b1, b2)] {
        let held = first == second && first.0 == tenant.plan.account;
        let seen = format!("both in {} with key …{}", first.0, first.1);
        report.record(tenant.plan.name, "two sub-agents share the session's credentials", held, seen);
    }
    Ok(())
}

/// Checks the servers and returns the process ids that they report.
async fn check_servers(a: &DemoTenant<'_>, b: &DemoTenant<'_>, report: &mut DemoReport) -> BTreeSet<u64> {
    let calls = |tenant| join_all((0..CALLS_PER_TENANT).map(move |_| DemoTenant::call_server(tenant, None)));
    let (calls_a, calls_b) = tokio::join!(calls(a), calls(b));
    let mut pids = BTreeSet::new();
    for (tenant, responses) in [(a, calls_a), (b, calls_b)] {
        let own =
            responses.iter().flatten().filter(|response| response.account == tenant.plan.account).count();
        pids.extend(responses.iter().flatten().map(|response| response.pid));
        let seen = format!("{own} of {CALLS_PER_TENANT} interleaved calls returned {}", tenant.plan.account);
        report.record(
            tenant.plan.name,
            "MCP tool calls act in the tenant's own account",
            own == CALLS_PER_TENANT,
            seen,
        );
    }
    pids
}

async fn check_rotation(
    a: &DemoTenant<'_>,
    b: &DemoTenant<'_>,
    report: &mut DemoReport,
) -> Result<(), CliError> {
    let (a_before, b_before) = tokio::join!(a.call_server(None), b.call_server(None));
    let generation = a.rotate().await?;
    let (a_after, b_after) = tokio::join!(a.call_server(None), b.call_server(None));
    let held = matches!((&a_before, &a_after), (Ok(before), Ok(after)) if before.pid == after.pid
        && before.account == after.account && before.key_suffix != after.key_suffix);
    let seen = format!("{} → {} (generation {generation})", call_summary(&a_before), call_summary(&a_after));
    report.record("A", "a rotated role reaches the running server, same pid", held, seen);
    report.record(
        "B",
        "the other tenant's server notices nothing",
        b_before.is_ok() && b_before == b_after,
        call_summary(&b_after),
    );
    Ok(())
}

async fn check_cross_tenant_read(
    a: &DemoTenant<'_>,
    b: &DemoTenant<'_>,
    endpoint: &CredentialEndpoint,
    report: &mut DemoReport,
) -> Result<(), CliError> {
    let before = b.session.credentials().await?;
    let asked = b.submit_stack_job(a.plan.credential_id).await?;
    let kept = b.session.credentials().await?.access_key_id() == before.access_key_id();
    // The service must have denied the request or not know the id; a missing response does not count.
    let code = asked.structured.as_ref().map(|output| output["error"]["code"].clone()).unwrap_or_default();
    let refused = asked.is_error && (code == "denied" || code == "invalid");
    report.record("B", "asking for the other tenant's credential id is refused", refused, asked.text);
    report.record(
        "B",
        "the refusal costs the session nothing",
        kept,
        format!("still key …{}", before.access_key_id().last_four()),
    );
    let grant = |tenant: &DemoTenant<'_>| {
        Ok::<_, CliError>(endpoint.grant(
            tenant.session.account(&tenant.workload_account)?,
            "demo",
            AdvertisedExpiry::default(),
        ))
    };
    let (grant_a, grant_b) = (grant(a)?, grant(b)?);
    let own = read_endpoint(&grant_b, &grant_b).await;
    let foreign = read_endpoint(&grant_a, &grant_b).await;
    let seen = format!("own token: {own}, foreign token: {foreign}");
    report.record(
        "B",
        "a token opens its own session's endpoint and no other",
        own == "200" && foreign == "403",
        seen,
    );
    Ok(())
}

async fn check_clearing(
    a: &DemoTenant<'_>,
    b: &DemoTenant<'_>,
    report: &mut DemoReport,
) -> Result<(), CliError> {
    let signal = std::env::temp_dir().join(format!("valetkey-demo-{}", uuid::Uuid::new_v4().simple()));
    let signal = signal.to_string_lossy();
    let arrived = format!("{signal}.waiting");
    let waiting = Map::from_iter([("once_exists".to_owned(), Value::from(&*signal))]);
    let clear = async {
        // The session is cleared after the call has reached the server and while it waits there.
        let _arrived = timeout(ARRIVAL_TIMEOUT, child::wait_for_file(&arrived)).await;
        let cleared = a.call_tool("clear_credential_context", json!({})).await;
        (cleared, tokio::fs::write(&*signal, "").await)
    };
    let (in_flight, (cleared, _notified)) = tokio::join!(a.call_server(Some(waiting)), clear);
    for file in [&*signal, &arrived] {
        let _removed = tokio::fs::remove_file(file).await;
    }
    let cleared = cleared?;
    report.record("A", "the session is cleared", !cleared.is_error, cleared.text);
    // The endpoint must refuse the server's request, since the host had already forwarded the call.
    report.record(
        "A",
        "the server that is still running is refused",
        is_refused_with(&in_flight, "403"),
        call_summary(&in_flight),
    );
    let (next, other) = tokio::join!(a.call_server(None), b.call_server(None));
    report.record("A", "the next call is refused", is_refused_with(&next, "cleared"), call_summary(&next));
    let held = other.as_ref().is_ok_and(|other| other.account == b.plan.account);
    report.record("B", "the other tenant works on", held, call_summary(&other));
    b.session.close();
    let closed = b.call_server(None).await;
    report.record(
        "B",
        "closed, it is refused as well",
        is_refused_with(&closed, "closed"),
        call_summary(&closed),
    );
    Ok(())
}

/// Whether the call failed with a message that contains `word`. Other failures do not count.
fn is_refused_with(response: &Result<ServerIdentity, String>, word: &str) -> bool {
    response.as_ref().is_err_and(|message| message.contains(word))
}

fn check_audit(a: &DemoTenant<'_>, b: &DemoTenant<'_>, report: &mut DemoReport) {
    for tenant in [a, b] {
        let records = tenant.audit.records();
        let own = records.iter().all(|record| record.session == tenant.session.id());
        let seen = format!("{} records", records.len());
        report.record(
            tenant.plan.name,
            "every audit record names its own session",
            own && !records.is_empty(),
            seen,
        );
    }
}

/// Reads the credentials at the address of `url` with the token of `token`, and returns the status.
async fn read_endpoint(url: &Grant, token: &Grant) -> String {
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
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        Ok::<_, std::io::Error>(response.split(' ').nth(1).unwrap_or("no response").to_owned())
    };
    exchange.await.unwrap_or_else(|error| error.to_string())
}

fn call_summary(response: &Result<ServerIdentity, String>) -> String {
    match response {
        Ok(identity) => format!("{} key …{} pid {}", identity.account, identity.key_suffix, identity.pid),
        Err(refusal) => refusal.clone(),
    }
}
