//! The program that makes the calls: `gateway_load`. It runs apart from the bench, so that it and all subjects can be
//! bound to one core.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::authentication::{self, AuthenticationTimes};
use super::client::{McpClient, call_message};
use super::stdio_client::StdioClient;
use super::subjects::{HTTP_SUBJECTS, MEMORY_SETTINGS, PRINCIPALS, Programs, STDIO_SUBJECTS, token_of};
use crate::Result;
use crate::rounds::Rounds;

/// The subject of which each call has a process of its own.
pub(crate) const PROCESS_PER_CALL: &str = "a process for each call (Python)";
/// The number of calls that are in flight when throughput is measured.
const IN_FLIGHT: usize = 16;
/// The number of calls after which the next subject has its turn.
const CALLS_PER_TURN: usize = 20;
/// Below the limit of one principal.
const SESSIONS_PER_PRINCIPAL: usize = 60;
/// Rounds of the measure of memory, each of which starts a gateway.
const MEMORY_ROUNDS: usize = 5;
const PYTHON_SERVER: &str = include_str!("echo_server.py");

/// A subject, its client, and the name of the tool that is called.
type Subject = (&'static str, McpClient, String);

/// What the program measured, by subject and round.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct GatewayTimes {
    /// The median duration of a call, in microseconds.
    pub(crate) call: BTreeMap<String, Vec<f64>>,
    /// Calls per second with [`IN_FLIGHT`] calls in flight.
    pub(crate) rate: BTreeMap<String, Vec<f64>>,
    /// The memory of one idle session in `valetkey serve --http`, in bytes, by round.
    pub(crate) idle_session: Vec<f64>,
    pub(crate) authentication: AuthenticationTimes,
    pub(crate) not_installed: Vec<String>,
}

/// Measures all subjects in turn, `rounds` times, with `calls` calls each.
pub(crate) async fn measure(programs: &Programs, rounds: usize, calls: usize) -> Result<GatewayTimes> {
    programs.prepare()?;
    let mut times = GatewayTimes::default();
    let mut subjects: Vec<Subject> = Vec::new();
    for name in STDIO_SUBJECTS.into_iter().chain(HTTP_SUBJECTS) {
        let started = programs.start(name).await.map_err(|error| format!("{name}: {error}"))?;
        let Some(mut client) = started else {
            times.not_installed.push(name.to_owned());
            continue;
        };
        let tool = client.initialize().await.map_err(|error| format!("{name}: {error}"))?;
        client.call_checked(&tool).await.map_err(|error| format!("{name}: {error}"))?;
        subjects.push((name, client, tool));
    }
    for round in 0..=rounds {
        let medians = median_calls(&mut subjects, calls).await?;
        for ((name, client, tool), call) in subjects.iter_mut().zip(medians) {
            let rate = match client {
                McpClient::Stdio(client) => Some(calls_per_second(client, tool, calls).await?),
                McpClient::Http(_) => None,
            };
            // The first round warms up.
            if round > 0 {
                times.call.entry((*name).to_owned()).or_default().push(call);
                rate.into_iter()
                    .for_each(|rate| times.rate.entry((*name).to_owned()).or_default().push(rate));
            }
        }
        match process_per_call(programs).await? {
            Some(call) if round > 0 => {
                times.call.entry(PROCESS_PER_CALL.to_owned()).or_default().push(call);
            }
            Some(_) => {}
            None if round == 0 => times.not_installed.push(PROCESS_PER_CALL.to_owned()),
            None => {}
        }
    }
    drop(subjects);
    for _ in 0..rounds.min(MEMORY_ROUNDS) {
        times.idle_session.push(memory_per_session(programs).await?);
    }
    times.authentication = authentication::measure(programs, rounds, calls).await?;
    Ok(times)
}

/// Returns the median duration of a call of each subject, in microseconds. Subjects take turns after a few calls, so that
/// what slows the machine for a moment slows all.
async fn median_calls(subjects: &mut [Subject], calls: usize) -> Result<Vec<f64>> {
    let mut durations: Vec<Rounds> = subjects.iter().map(|_| Rounds::default()).collect();
    for turn in turns(calls) {
        for ((_, client, tool), durations) in subjects.iter_mut().zip(&mut durations) {
            let message = call_message(7, tool);
            for _ in turn.clone() {
                let start = Instant::now();
                client.call(&message).await?;
                durations.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    Ok(durations.iter().map(Rounds::median).collect())
}

/// Splits a number of calls into the ranges of turns.
pub(super) fn turns(calls: usize) -> impl Iterator<Item = Range<usize>> {
    (0..calls).step_by(CALLS_PER_TURN).map(move |start| start..calls.min(start + CALLS_PER_TURN))
}

async fn calls_per_second(client: &mut StdioClient, tool: &str, calls: usize) -> Result<f64> {
    let start = Instant::now();
    for id in 0..IN_FLIGHT {
        client.send(&call_message(100 + id as u64, tool)).await?;
    }
    for id in IN_FLIGHT..calls.max(IN_FLIGHT) {
        client.receive().await?;
        client.send(&call_message(100 + id as u64, tool)).await?;
    }
    for _ in 0..IN_FLIGHT {
        client.receive().await?;
    }
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}

/// Returns the duration of one call in a process of its own, in microseconds.
async fn process_per_call(programs: &Programs) -> Result<Option<f64>> {
    let Some(python) = programs.python.as_ref().map(|folder| folder.join("python")) else { return Ok(None) };
    let start = Instant::now();
    let mut command = Command::new(python);
    let mut client = McpClient::Stdio(Box::new(StdioClient::start(command.args(["-c", PYTHON_SERVER]))?));
    let tool = client.initialize().await?;
    client.call_checked(&tool).await?;
    Ok(Some(start.elapsed().as_secs_f64() * 1e6))
}

/// Returns the bytes of memory that an idle session needs in `valetkey serve --http`, which has no process for it. All
/// sessions are opened over one connection: its memory is not theirs.
async fn memory_per_session(programs: &Programs) -> Result<f64> {
    let running = programs.start_valetkey_http(MEMORY_SETTINGS).await?;
    let pid = running.pid().ok_or("valetkey ended")?;
    let mut client = running.connect().await?;
    // The first principal also pays for what all share.
    open_sessions(&mut client, 0).await?;
    let before = anonymous_memory(pid)?;
    for principal in 1..PRINCIPALS {
        open_sessions(&mut client, principal).await?;
    }
    let opened = (PRINCIPALS - 1) * SESSIONS_PER_PRINCIPAL;
    Ok((anonymous_memory(pid)? - before) / opened as f64)
}

/// Opens the sessions of one principal: protocol sessions, each with a credential session.
async fn open_sessions(client: &mut McpClient, principal: usize) -> Result<()> {
    for _ in 0..SESSIONS_PER_PRINCIPAL {
        if let McpClient::Http(client) = client {
            client.switch_to(&token_of(principal));
        }
        client.initialize().await?;
        client.list_accounts().await?;
    }
    Ok(())
}

/// Returns the anonymous memory of a process, in bytes.
pub(crate) fn anonymous_memory(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    let kibibytes: f64 = number.ok_or("the kernel reports no resident memory")?.parse()?;
    Ok(kibibytes * 1024.0)
}
