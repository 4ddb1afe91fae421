//! The memory and environment of `valetkey` are hidden from other processes of the same user.
//!
//! Root may read everything, so the tests that run as root run the program as another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::process::geteuid;
use tokio::process::Child;

use crate::exec::{SECRET, fixture_with_keys};
use crate::process::wait_until;
use crate::program_fixture::{ProgramFixture, ProgramOutput};

/// The user `daemon`.
const TEST_UID: &str = "1";

/// Starts `valetkey` as a user other than root, in a folder that this user can read.
fn start_unprivileged(fixture: &ProgramFixture, args: &[&str]) -> Child {
    if !geteuid().is_root() {
        return fixture.start(args);
    }
    let program = fixture.path("valetkey");
    fs::copy(env!("CARGO_BIN_EXE_valetkey"), &program).unwrap();
    fs::set_permissions(fixture.path("."), Permissions::from_mode(0o755)).unwrap();
    let (user, group) = (format!("--reuid={TEST_UID}"), format!("--regid={TEST_UID}"));
    let as_user = [&user, &group, "--clear-groups", program.to_str().unwrap()];
    fixture.start_program("setpriv", &[&as_user, args].concat())
}

#[tokio::test]
async fn exec_memory_is_unreadable_by_program() {
    let script = "sh -c 'cat /proc/$PPID/environ > /dev/null && echo others are readable'; \
                  cat /proc/$PPID/environ; cat /proc/$PPID/mem; ulimit -S -c";
    let fixture = fixture_with_keys();
    let output =
        ProgramFixture::wait_for_output(start_unprivileged(&fixture, &["exec", "--", "sh", "-c", script]))
            .await;
    let ProgramOutput { code, stdout, stderr } = &output;
    assert_eq!((*code, stdout.as_str()), (Some(0), "others are readable\n0\n"), "{stderr}");
    assert_eq!(stderr.matches("Permission denied").count(), 2, "{stderr}");
    assert!(!output.combined_output().contains(SECRET), "{stderr}");
}

#[tokio::test]
async fn serve_memory_is_unreadable_by_user() {
    let fixture = fixture_with_keys();
    let gateway = start_unprivileged(&fixture, &["serve"]);
    let of_gateway = |file: &str| format!("/proc/{}/{file}", gateway.id().unwrap());
    let is_valetkey = || fs::read_to_string(of_gateway("comm")).is_ok_and(|name| name == "valetkey\n");
    // Files that are hidden from the user belong to root.
    let is_hidden = || fs::metadata(of_gateway("environ")).is_ok_and(|file| file.uid() == 0);
    let dumps_no_core =
        || fs::read_to_string(of_gateway("limits")).is_ok_and(|limits| soft_core_limit(&limits) == "0");
    wait_until("memory is hidden and no core is dumped", || is_valetkey() && is_hidden() && dumps_no_core())
        .await;
}

/// Returns the soft limit of the core file size.
fn soft_core_limit(limits: &str) -> &str {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap_or_default();
    line.split_whitespace().next().unwrap_or_default()
}
