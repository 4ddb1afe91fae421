//! Requests through the signing proxy against a bare reverse proxy of hyper, in front of the same upstream.

mod requests;
mod transfers;

use std::process::Command;

use crate::Result;
use crate::env::BenchEnv;
use crate::goal::Goal;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::signing::fixture::{BARE, DIRECT, VALETKEY, WAYS};

const TITLE: &str = "A request through the signing proxy";
const METHOD: &str = "The client signs its requests before they are timed, and sends the same ones on each way in turn; \
    client, proxies and upstream are in one process, without TLS. p50: one connection, a request of 200 bytes, a \
    response of 1 KiB, one thread for all. Added is the median of a round minus that without a proxy. 64 connections and \
    large bodies: two worker threads. Memory is what a counting allocator finds live for each of 32 requests in progress \
    that nothing reads, minus that without a proxy.";
const MEMORY: &str = "memory of a request in progress";

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let mut section = Section::new(TITLE, METHOD);
    requests::push_durations(env, &mut section)?;
    requests::push_rates(env, &mut section)?;
    transfers::push_transfers(env, &mut section)?;
    for direction in ["download", "upload"] {
        push_memory(env, &mut section, direction)?;
    }
    requests::push_signature(env, &mut section)?;
    Ok(vec![section])
}

fn push_memory(env: &BenchEnv, section: &mut Section, direction: &str) -> Result<()> {
    let mut all = WAYS.map(|_| Rounds::default());
    for _ in 0..env.profile.herd_rounds {
        for (way, rounds) in WAYS.into_iter().zip(&mut all) {
            rounds.push(memory_in_subprocess(way, direction)?);
        }
    }
    let [direct, bare, ours] = all;
    let (bare, ours) = (bare.minus(&direct), ours.minus(&direct));
    let name = format!("{MEMORY}: {direction}");
    section.push(Figure::new(&name, VALETKEY, "B", &ours).with_goal(Goal::AtMost(64.0 * 1024.0)));
    section.push(Figure::new(&name, BARE, "B", &bare));
    section.push(Figure::new(&name, format!("{DIRECT}: client and upstream"), "B", &direct));
    Ok(())
}

fn memory_in_subprocess(way: &str, direction: &str) -> Result<f64> {
    let program = super::sibling_program("counted")?;
    let output = Command::new(program).args(["in-progress", way, direction]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
