//! Exec-style: the program has the host's own streams, the session's environment, and is waited for.

use std::ffi::OsString;

use valetkey_mcp::child::{
    ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, SessionHome, Stdio,
};

use crate::keys::keys;
use crate::process::{runs, until};
use crate::stage::environment;

fn shell(script: impl Into<OsString>) -> ChildCommand {
    let args = vec!["-c".into(), script.into()];
    ChildCommand { program: "sh".into(), args, directory: None, launcher: None }
}

fn plain() -> ChildEnvironment {
    ChildEnvironment::new(&environment(), [])
}

#[tokio::test]
async fn a_program_is_run_with_the_sessions_keys_and_its_status_is_told() {
    let (home, folder) = (SessionHome::create(None).unwrap(), tempfile::tempdir().unwrap());
    let surrounded = || plain().shut(&home).at_home(&home).keys(&keys("AAAA"));
    let mut command = shell("test \"$AWS_ACCESS_KEY_ID\" = ASIA000000000000AAAA && pwd > here && exit 7");
    command.directory = Some(folder.path().to_owned());
    let mut child = ChildProcess::spawn(command, surrounded(), Stdio::Inherited).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
    assert!(folder.path().join("here").exists(), "it ran where it was told to");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_not_found_and_the_childs_own_path_counts() {
    let missing = ChildCommand { program: "no-such-program".into(), ..shell("") };
    let error = ChildProcess::spawn(missing, plain(), Stdio::Inherited).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);

    let nowhere = [(OsString::from("PATH"), OsString::from("/nowhere"))];
    let environment = ChildEnvironment::new(&HostEnvironment::new(nowhere), []);
    assert!(ChildProcess::spawn(shell("exit 0"), environment, Stdio::Inherited).is_err());
}

#[tokio::test]
async fn a_signal_reaches_the_program_and_dropping_kills_it() {
    let mut child = ChildProcess::spawn(shell("exec sleep 600"), plain(), Stdio::Inherited).unwrap();
    child.signal(15);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().await.unwrap()), Some(15));

    let child = ChildProcess::spawn(shell("exec sleep 600"), plain(), Stdio::Inherited).unwrap();
    let pid = child.pid();
    assert!(runs(pid));
    drop(child);
    until("it is gone", || !runs(pid)).await;
}

#[tokio::test]
async fn a_program_with_inherited_streams_stays_in_the_hosts_group() {
    let child = ChildProcess::spawn(shell("exec sleep 600"), plain(), Stdio::Inherited).unwrap();
    assert_eq!(crate::process::group_of(child.pid()), crate::process::group_of(std::process::id()));
    let piped = ChildProcess::spawn(shell("exec sleep 600"), plain(), Stdio::Piped).unwrap();
    assert_eq!(crate::process::group_of(piped.pid()), Some(piped.pid()));
}

#[tokio::test]
async fn a_long_standard_error_is_drained_and_its_end_is_kept() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 0";
    let mut child = ChildProcess::spawn(shell(script), plain(), Stdio::Piped).unwrap();
    assert!(child.wait().await.unwrap().success(), "it never blocked on a full pipe");
    child.stderr().last_words().await;
    let tail = child.stderr().masked(&valetkey_mcp::Redactor::default(), 2);
    assert_eq!(tail, "line 19998\nline 19999");
}
