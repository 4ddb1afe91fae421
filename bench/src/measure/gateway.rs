//! Calls through gateways: the time that each adds to a call, its throughput, and the memory of an idle session.

use std::process::Command;

use crate::Result;
use crate::env::BenchEnv;
use crate::gateway::load::{GatewayTimes, PROCESS_PER_CALL};
use crate::gateway::subjects::{
    DIRECT, HTTP_SUBJECTS, PASS_THROUGH, PYTHON_PROXY_HTTP, RUST_PROXY_HTTP, STDIO_SUBJECTS, VALETKEY,
    VALETKEY_HTTP, VALETKEY_WITHOUT,
};
use crate::goal::Goal;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

const TITLE: &str = "A call through a gateway";
const METHOD: &str = "One client calls the tool of one server on stdio, with a text of 200 bytes, through each gateway \
    in turns of 20 calls. The client, the gateways and the server share one core. Added is the median of a round minus the median \
    without a gateway in the same round. Throughput is that with 16 calls in flight. valetkey delivers credentials to \
    the server. A process for each call is the Python SDK's server: started, initialized and called once.";
/// Calls of each subject in a round.
const CALLS: usize = 300;
const QUICK_CALLS: usize = 20;
const ADDED: &str = "added to a call";
const RATE: &str = "calls a second, 16 in flight";

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let mut section = Section::new(TITLE, METHOD);
    let Some(valetkey) = &env.programs.valetkey else {
        section.add_not_run("all: `--valetkey` names no program");
        return Ok(vec![section]);
    };
    let calls = if env.profile.size_divisor == 1 { CALLS } else { QUICK_CALLS };
    let folder = std::env::temp_dir().join(format!("valetkey-bench-{}", std::process::id()));
    let mut command = one_core(&super::sibling_program("gateway_load")?);
    command.arg("--valetkey").arg(valetkey);
    if let Some(python) = &env.programs.python {
        command.arg("--python").arg(python);
    }
    command.arg(&folder).args([env.profile.rounds.to_string(), calls.to_string()]);
    let output = command.output()?;
    std::fs::remove_dir_all(&folder)?;
    if !output.status.success() {
        return Err(format!("the calls failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let times: GatewayTimes = serde_json::from_slice(&output.stdout)?;
    times.not_installed.iter().for_each(|name| section.add_not_run(format!("{name}: it is not installed")));
    push_figures(&mut section, &times);
    Ok(vec![section])
}

/// Returns a command that binds the program and its children to one core.
fn one_core(program: &std::path::Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn push_figures(section: &mut Section, times: &GatewayTimes) {
    let call = |name: &str| -> Option<Rounds> {
        times.call.get(name).map(|values| values.iter().copied().collect())
    };
    let Some(direct) = call(DIRECT) else { return };
    section.push(Figure::new("a call", DIRECT, "µs", &direct));
    let added = |name: &str| call(name).map(|call| call.minus(&direct));
    for (names, reference) in [(&STDIO_SUBJECTS[..], PASS_THROUGH), (&HTTP_SUBJECTS[..], RUST_PROXY_HTTP)] {
        let reference_added = added(reference);
        for name in names.iter().copied().filter(|name| *name != DIRECT) {
            let Some(rounds) = added(name) else { continue };
            let figure = Figure::new(ADDED, name, "µs", &rounds);
            section.push(match &reference_added {
                Some(of) => with_added_goal(figure.with_reference(reference, &rounds.ratio_to(of)), name),
                None => figure,
            });
        }
    }
    if let (Some(ours), Some(python)) = (added(VALETKEY_HTTP), added(PYTHON_PROXY_HTTP)) {
        let faster = python.ratio_to(&ours);
        let figure = Figure::new("added, times less", VALETKEY_HTTP, "×", &faster);
        section.push(figure.with_reference(PYTHON_PROXY_HTTP, &faster).with_goal(Goal::AtLeast(10.0)));
    }
    if let (Some(ours), Some(process)) = (call(VALETKEY), call(PROCESS_PER_CALL)) {
        let faster = process.ratio_to(&ours);
        let figure = Figure::new("a warm call, times faster", VALETKEY, "×", &faster);
        section.push(figure.with_reference(PROCESS_PER_CALL, &faster).with_goal(Goal::AtLeast(50.0)));
    }
    if let (Some(with), Some(without)) = (call(VALETKEY), call(VALETKEY_WITHOUT)) {
        let share = Figure::new("share of the credentials", VALETKEY, "µs", &with.minus(&without));
        section.push(share.with_goal(Goal::AtMost(1.0)));
    }
    push_authentication(section, times);
    push_rates(section, times);
    if !times.idle_session.is_empty() {
        let memory: Rounds = times.idle_session.iter().copied().collect();
        let figure = Figure::new("memory of an idle session", VALETKEY_HTTP, "B", &memory);
        section.push(figure.with_goal(Goal::AtMost(4096.0)));
    }
}

/// What authentication adds to a call of a small tool, with and without a token that was verified before.
fn push_authentication(section: &mut Section, times: &GatewayTimes) {
    let rounds = |values: &[f64]| -> Rounds { values.iter().copied().collect() };
    let none = rounds(&times.authentication.none);
    if none.count() == 0 {
        return;
    }
    for (name, values) in [
        ("authentication, verified token", &times.authentication.known_token),
        ("authentication, new token of a known RSA key", &times.authentication.new_token),
    ] {
        let figure = Figure::new(name, VALETKEY_HTTP, "µs", &rounds(values).minus(&none));
        section.push(figure.with_goal(Goal::AtMost(60.0)));
    }
}

fn with_added_goal(figure: Figure, name: &str) -> Figure {
    match name {
        VALETKEY => figure.with_goal(Goal::AtMost(0.5)),
        VALETKEY_HTTP => figure.with_goal(Goal::AtMost(1.0)),
        _ => figure,
    }
}

fn push_rates(section: &mut Section, times: &GatewayTimes) {
    let rate = |name: &str| -> Option<Rounds> {
        times.rate.get(name).map(|values| values.iter().copied().collect())
    };
    let Some(reference) = rate(PASS_THROUGH) else { return };
    for name in STDIO_SUBJECTS {
        let Some(rounds) = rate(name) else { continue };
        let figure =
            Figure::new(RATE, name, "", &rounds).with_reference(PASS_THROUGH, &rounds.ratio_to(&reference));
        section.push(if name == VALETKEY { figure.with_goal(Goal::AtLeast(0.8)) } else { figure });
    }
}
