//! The memory of a process with the proxy while large objects pass through it.
//!
//! It runs in a process of its own, which is this test binary with one ignored test, because the tests of one process
//! share its memory.

use std::process::Command;

use valetkey_rig::Moto;

use super::fixture::{ProxyFixture, moto_key, script};

/// What the process may hold beyond what it held after a small object, in bytes. boto3 transfers ten parts at once.
const MAX_EXCESS: usize = 24 * 1024 * 1024;
const SMALL: &str = "import boto3; s3 = boto3.client('s3'); s3.create_bucket(Bucket='small'); \
    s3.put_object(Bucket='small', Key='k', Body=b'b'); s3.get_object(Bucket='small', Key='k')['Body'].read()";

/// Returns a value of `/proc/self/status`, in bytes.
fn memory(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn memory_of_200_mb_transfers_is_flat() {
    let arguments = ["--exact", "real::memory::transfer_200_mb", "--ignored", "--nocapture"];
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains(" 1 passed; 0 failed; 0 ignored;"), "{stdout}");
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn transfer_200_mb() {
    let moto = Moto::start().await.unwrap();
    let fixture = ProxyFixture::start_with(&moto.url(), &moto_key()).await;
    script(SMALL, fixture.variables()).run().await.unwrap();
    let before = memory("VmRSS");
    let printed = script(include_str!("large.py"), fixture.variables()).run().await.unwrap();
    let excess = memory("VmHWM").saturating_sub(before);
    assert_eq!(printed.trim(), "209715200 True");
    assert!(excess <= MAX_EXCESS, "{excess} bytes more than with a small object");
    moto.stop().await.unwrap();
}
