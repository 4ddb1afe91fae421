//! `valetkey demo`: runs the main scenario from end to end and checks each step.

mod child;
mod env;
mod report;
mod scenario;
mod tenant;

use std::process::ExitCode;

pub(crate) use child::serve_child;

use crate::arguments::DemoArgs;
use crate::error::CliError;
use env::DemoEnv;
use report::DemoReport;

/// Runs the demo. The exit code is 1 if a step fails.
pub(crate) async fn run(command: &DemoArgs, color: bool) -> Result<ExitCode, CliError> {
    let mut report = DemoReport::start();
    let env = DemoEnv::setup(command.aws_endpoint.as_deref()).await?;
    let outcome = scenario::run_scenario(&env, &mut report).await;
    env.teardown().await;
    // Also printed when the scenario was aborted: the completed steps show where.
    report
        .print(command.json, color)
        .map_err(|error| CliError::failed(format!("standard output: {error}")))?;
    outcome?;
    Ok(if report.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
