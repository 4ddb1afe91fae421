//! The arguments of `valetkey access`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OUTPUT;

#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    #[command(subcommand)]
    pub(crate) command: AccessCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// List the requests that wait for a decision.
    List(AccessListArgs),
    /// Grant a request.
    Approve(AccessDecisionArgs),
    /// Refuse a request.
    Deny(AccessDecisionArgs),
    /// Print the address of the status page with a code, which permits decisions on the page for an hour. Keep the
    /// address secret.
    Page(AccessPageArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AccessListArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Print the requests as JSON.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AccessDecisionArgs {
    /// The id of the request, as `valetkey access list` prints it.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AccessPageArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// The options that select the gateway.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Use only the gateway with this Unix socket (default: all gateways of this user).
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
}
