//! Signals are forwarded to the program.

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::fixture_with_keys;
use crate::process::{runs, wait_until};
use crate::program_fixture::ProgramFixture;

/// Prints its process id, then waits for a signal.
const WAITING_SCRIPT: &str = "trap 'exit 3' TERM HUP; echo $$; while :; do sleep 0.05; done";

async fn start_program(
    fixture: &ProgramFixture,
    script: &str,
) -> (Child, Lines<BufReader<ChildStdout>>, u32) {
    // A shell cannot trap a signal that it inherits as ignored, as from a test run under `nohup`.
    let mut exec = fixture.start(&["exec", "--", "env", "--default-signal", "sh", "-c", script]);
    let mut lines = BufReader::new(exec.stdout.take().unwrap()).lines();
    let pid = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    (exec, lines, pid)
}

fn send_signal(signal: Signal, exec: &Child) {
    let pid = exec.id().unwrap().try_into().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn exec_stop_signal_is_forwarded_to_program() {
    let fixture = fixture_with_keys();
    for signal in [Signal::TERM, Signal::HUP] {
        let (mut exec, _lines, pid) = start_program(&fixture, WAITING_SCRIPT).await;
        send_signal(signal, &exec);
        assert_eq!(exec.wait().await.unwrap().code(), Some(3), "{signal:?}");
        assert!(!runs(pid));
    }
}

#[tokio::test]
async fn exec_killed_ends_program() {
    let fixture = fixture_with_keys();
    let (mut exec, _lines, pid) = start_program(&fixture, WAITING_SCRIPT).await;
    send_signal(Signal::KILL, &exec);
    assert_eq!(exec.wait().await.unwrap().code(), None);
    wait_until("the program is gone", || !runs(pid)).await;
}
