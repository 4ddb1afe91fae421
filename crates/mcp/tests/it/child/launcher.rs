//! No child survives a killed host: the launcher ties the child's lifetime to the host's.

use std::os::fd::AsRawFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use valetkey_mcp::child::Stdio::Piped;
use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, Launcher};

use crate::host_fixture::{HostFixture, example_path, host_environment};
use crate::process::{group_id, group_members, is_running, parent_pid, wait_until};

/// Starts a host program, and returns it with the pid of its child.
async fn start_host() -> (Child, u32) {
    let mut host = Command::new(example_path("launcher"))
        .arg("host")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let child = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    (host, child)
}

fn is_sleep(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

#[tokio::test]
async fn launcher_host_killed_ends_whole_process_group() {
    let (mut host, child) = start_host().await;
    assert_eq!(parent_pid(child), host.id());
    wait_until("the wrapper has started its program", || group_members(child).into_iter().any(is_sleep))
        .await;
    host.start_kill().unwrap();
    host.wait().await.unwrap();
    wait_until("the group is gone", || group_members(child).is_empty()).await;
}

/// Starts a shell under a launcher that leads a group, as servers do.
fn spawn_guarded(script: &str) -> ChildProcess {
    let launcher = Launcher::new(example_path("launcher"), ["launch"]);
    let command = ChildCommand::new("sh").args(["-c", script]).launcher(launcher);
    ChildProcess::spawn(command, ChildEnvironment::new(&host_environment(), []), Piped).unwrap()
}

#[tokio::test]
async fn launcher_returns_exit_code_or_signal_of_program() {
    assert_eq!(spawn_guarded("exit 7").wait().await.unwrap().code(), Some(7));
    assert_eq!(spawn_guarded("kill -KILL $$").wait().await.unwrap().code(), Some(128 + 9));
}

#[tokio::test]
async fn launcher_group_signal_is_handled_by_program() {
    let mut child = spawn_guarded("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    let (stdout, _stdin) = child.take_streams().unwrap();
    let mut lines = BufReader::new(stdout).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ready");
    child.signal(15);
    assert_eq!(child.wait().await.unwrap().code(), Some(3));
}

#[tokio::test]
async fn launcher_program_can_close_its_own_streams() {
    let mut child = spawn_guarded("read line; echo \"heard $line\"; exec >&- 2>&-; exec sleep 600");
    let (stdout, mut stdin) = child.take_streams().unwrap();
    stdin.write_all(b"this\n").await.unwrap();
    let mut lines = BufReader::new(stdout).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "heard this");
    let end = timeout(Duration::from_secs(25), lines.next_line()).await;
    assert_eq!(end.expect("its end is seen").unwrap(), None);
}

#[tokio::test]
async fn launcher_program_inherits_only_standard_streams() {
    // Leaves the descriptor inheritable, as if it had been opened without the standard library.
    let leaked = fcntl_dupfd_cloexec(std::fs::File::open("/etc/passwd").unwrap(), 100).unwrap();
    fcntl_setfd(&leaked, FdFlags::empty()).unwrap();
    let probe_script = format!("test -e /proc/$$/fd/{} && exit 3; test -e /proc/$$/fd/1", leaked.as_raw_fd());
    assert_eq!(spawn_guarded(&probe_script).wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn launcher_host_gone_does_not_start_program() {
    let status = Command::new(example_path("launcher"))
        .args(["launch", "1", "sh", "-c", "echo started"])
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(!status.status.success());
    assert!(status.stdout.is_empty());
}

#[tokio::test]
async fn launcher_server_is_called_stopped_and_reported() {
    let launch = || Launcher::new(example_path("launcher"), ["launch"]);
    let fixture = crate::host_fixture::fixture_server(valetkey_mcp::child::Delivery::Endpoint);
    let missing = valetkey_mcp::config::ServerConfig::new("no-such-program-anywhere");
    let fixture = HostFixture::with_builder([("fixture", fixture), ("missing", missing)], |host| {
        host.launcher(launch())
    })
    .await;
    fixture.set("AAAA");
    let (key, pid) = fixture.key_and_pid().await;
    assert_eq!((key.as_str(), group_id(pid)), ("AAAA", fixture.pid("fixture")));
    let errors = fixture.catalog().await.errors;
    assert_eq!(errors.iter().map(|error| error.server.as_str()).collect::<Vec<_>>(), ["missing"]);
    fixture.host.shutdown().await;
    assert!(!is_running(pid));
}
