//! `valetkey demo`: runs the main scenario from end to end and checks each step.

mod child;
mod play;
mod report;
mod stage;
mod tenant;

use std::process::ExitCode;

pub(crate) use child::serve_child;

use crate::arguments::DemoArgs;
use crate::failure::CliError;
use report::DemoReport;
use stage::DemoEnv;

/// Runs the demo. The exit code is 1 if a step fails.
pub(crate) async fn run(command: &DemoArgs, color: bool) -> Result<ExitCode, CliError> {
    let mut report = DemoReport::start();
    let stage = DemoEnv::setup(command.aws_endpoint.as_deref()).await?;
    let outcome = play::run_scenario(&stage, &mut report).await;
    stage.teardown().await;
    // Also printed when the scenario was aborted: the completed steps show where.
    report
        .print(command.json, color)
        .map_err(|error| CliError::failed(format!("standard output: {error}")))?;
    outcome?;
    Ok(if report.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
