//! A running boto3 program: a child of the session, which responds to each line of input.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::{Instant, sleep};
use valetkey_core::SessionContext;
use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, SessionDir, Stdio};
use valetkey_mcp::endpoint::{AdvertisedExpiry, Grant};
use valetkey_mcp::{CredentialEndpoint, Redactor};
use valetkey_rig::{Result, aws_environment, program};

use super::python_script;
use crate::host_fixture::host_environment;

/// One process with one client, whose credentials come from the session's endpoint.
pub(super) struct Boto3CallerFixture {
    pub(super) process: ChildProcess,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    grant: Grant,
    _kept: (CredentialEndpoint, SessionDir),
}

impl Boto3CallerFixture {
    pub(super) async fn start(session: &SessionContext, aws: &str) -> Result<Self> {
        let (endpoint, home) =
            (CredentialEndpoint::start().await.unwrap(), SessionDir::create(None).unwrap());
        let account = session.account(session.default_account()).unwrap();
        let grant = endpoint.grant(account, "boto3", AdvertisedExpiry::default());
        let named: BTreeMap<_, _> = aws_environment(aws).into_iter().collect();
        let environment = ChildEnvironment::new(&host_environment(), &named)
            .isolate(&home)
            .with_home(&home)
            .with_endpoint(&grant);
        let command = ChildCommand::new(program("python")?).args([python_script("caller.py")]);
        let mut process = ChildProcess::spawn(command, environment, Stdio::Piped).unwrap();
        let (output, input) = process.take_streams().unwrap();
        let output = BufReader::new(output).lines();
        Ok(Self { process, input, output, grant, _kept: (endpoint, home) })
    }

    /// Sends one line and returns the response.
    pub(super) async fn send_line(&mut self, line: &str) -> String {
        let sent = self.input.write_all(format!("{line}\n").as_bytes()).await;
        let answer = self.output.next_line().await.unwrap();
        let stderr = || self.process.stderr().last_lines(&Redactor::default(), 5);
        answer.filter(|_| sent.is_ok()).unwrap_or_else(|| panic!("the program ended: {}", stderr()))
    }

    /// Returns the ARN of the program's caller identity, or the error. Ends the burst of an earlier call first.
    pub(super) async fn caller_arn(&mut self) -> String {
        self.grant.end_burst();
        self.send_line("caller").await
    }

    /// Repeats the call until it returns `expected`, because this takes real time.
    pub(super) async fn wait_for_arn(&mut self, expected: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.caller_arn().await;
            if answer == expected {
                return;
            }
            assert!(Instant::now() < deadline, "never {expected}, still {answer}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
