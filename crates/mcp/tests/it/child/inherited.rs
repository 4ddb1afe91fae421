//! The program uses the host's own streams and the session's environment, and the caller waits for its exit.

use std::ffi::OsString;

use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, SessionDir, Stdio};

use crate::host_fixture::host_environment;
use crate::keys::keys;
use crate::process::{is_running, wait_until};

fn shell_command(script: impl Into<OsString>) -> ChildCommand {
    ChildCommand::new("sh").args(["-c".into(), script.into()])
}

fn plain_environment() -> ChildEnvironment {
    ChildEnvironment::new(&host_environment(), [])
}

#[tokio::test]
async fn spawn_inherited_passes_keys_cwd_and_exit_status() {
    let (home, folder) = (SessionDir::create(None).unwrap(), tempfile::tempdir().unwrap());
    let environment =
        || plain_environment().isolate(&home).with_home(&home).with_static_credentials(&keys("AAAA"));
    let command = shell_command("test \"$AWS_ACCESS_KEY_ID\" = ASIA000000000000AAAA && pwd > here && exit 7")
        .current_dir(folder.path());
    let mut child = ChildProcess::spawn(command, environment(), Stdio::Inherited).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
    assert!(folder.path().join("here").exists(), "it ran in its folder");
}

#[tokio::test]
async fn spawn_unknown_program_in_child_path_is_not_found() {
    let missing = ChildCommand::new("no-such-program");
    let error = ChildProcess::spawn(missing, plain_environment(), Stdio::Inherited).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);

    let nowhere = [(OsString::from("PATH"), OsString::from("/nowhere"))];
    let environment = ChildEnvironment::new(&HostEnvironment::new(nowhere), []);
    assert!(ChildProcess::spawn(shell_command("exit 0"), environment, Stdio::Inherited).is_err());
}

#[tokio::test]
async fn child_process_signal_is_delivered_and_drop_kills() {
    let mut child =
        ChildProcess::spawn(shell_command("exec sleep 600"), plain_environment(), Stdio::Inherited).unwrap();
    child.signal(15);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().await.unwrap()), Some(15));

    let child =
        ChildProcess::spawn(shell_command("exec sleep 600"), plain_environment(), Stdio::Inherited).unwrap();
    let pid = child.pid();
    assert!(is_running(pid));
    drop(child);
    wait_until("it is gone", || !is_running(pid)).await;
}

#[tokio::test]
async fn spawn_inherited_stays_in_host_process_group() {
    let child =
        ChildProcess::spawn(shell_command("exec sleep 600"), plain_environment(), Stdio::Inherited).unwrap();
    assert_eq!(crate::process::group_id(child.pid()), crate::process::group_id(std::process::id()));
    let piped =
        ChildProcess::spawn(shell_command("exec sleep 600"), plain_environment(), Stdio::Piped).unwrap();
    assert_eq!(crate::process::group_id(piped.pid()), Some(piped.pid()));
}

#[tokio::test]
async fn stderr_tail_long_output_is_drained_and_end_kept() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 0";
    let mut child = ChildProcess::spawn(shell_command(script), plain_environment(), Stdio::Piped).unwrap();
    assert!(child.wait().await.unwrap().success(), "it never blocked on a full pipe");
    child.stderr().wait_drained().await;
    let tail = child.stderr().last_lines(&valetkey_mcp::Redactor::default(), 2);
    assert_eq!(tail, "line 19998\nline 19999");
}
