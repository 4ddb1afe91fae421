//! `valetkey access`: lists the requests to a person of running gateways, and decides about them.

use std::process::ExitCode;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::arguments::{AccessCommand, AccessDecisionArgs, AccessListArgs, AccessPageArgs};
use crate::error::CliError;
use crate::ops::{OpsRequest, OpsResponse};
use crate::output::{print_json, print_lines};
use crate::status::read_gateways;
use crate::status::text::{list, requested, short_id, text};

const NO_GATEWAY: &str = "no gateway of this user is running; start one with `valetkey serve`";

pub(crate) async fn run(command: &AccessCommand) -> Result<ExitCode, CliError> {
    match command {
        AccessCommand::List(arguments) => list_requests(arguments).await?,
        AccessCommand::Approve(arguments) => decide(arguments, "approve", "approved").await?,
        AccessCommand::Deny(arguments) => decide(arguments, "deny", "denied").await?,
        AccessCommand::Page(arguments) => print_pages(arguments).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_requests(arguments: &AccessListArgs) -> Result<(), CliError> {
    let gateways = read_gateways(arguments.gateway.socket.as_ref()).await?;
    let mut requests = Vec::new();
    for gateway in &gateways {
        for request in list(&gateway["access"]["requests"]) {
            let mut request = request.clone();
            request["gateway"] = gateway["pid"].clone();
            requests.push(request);
        }
    }
    if arguments.json {
        return print_json(&json!({ "requests": requests }));
    }
    if requests.is_empty() {
        return print_lines(["no request waits for a decision"]);
    }
    print_lines(requests.iter().flat_map(describe))
}

/// Describes a request in lines. It is read leniently: a gateway may be of another release.
fn describe(request: &Value) -> Vec<String> {
    let subject = match &request["kind"] {
        Value::String(kind) if kind == "sign_in" => describe_sign_in(request),
        _ => describe_access(request),
    };
    let origin = [
        format!("session    {} of {}", short_id(request), text(&request["principal"])),
        format!(
            "gateway    {}, which waits another {} s",
            text(&request["gateway"]),
            text(&request["remaining_seconds"])
        ),
        String::new(),
    ];
    [vec![format!("request    {}", text(&request["id"]))], subject, origin.to_vec()].concat()
}

fn describe_access(request: &Value) -> Vec<String> {
    let accounts: Vec<_> = list(&request["accounts"]).iter().map(text).collect();
    let policy = match &request["policy"] {
        Value::String(policy) => format!("at most what this policy allows: {policy}"),
        _ => "everything that these accounts allow".to_owned(),
    };
    vec![
        format!("access     {} for {} s", text(&request["access"]), text(&request["lifetime_seconds"])),
        format!("accounts   {}", accounts.join(", ")),
        format!("policy     {policy}"),
        format!("reason     \"{}\" (of the agent, not verified)", text(&request["reason"])),
    ]
}

fn describe_sign_in(request: &Value) -> Vec<String> {
    vec![
        format!("sign-in    for the account {}: {}", text(&request["account"]), text(&request["message"])),
        format!("to do      {}", text(&request["next_step"])),
        "then       approve this request, which refreshes the account".to_owned(),
    ]
}

async fn decide(
    arguments: &AccessDecisionArgs,
    decision: &'static str,
    outcome: &str,
) -> Result<(), CliError> {
    let AccessDecisionArgs { id, gateway } = arguments;
    // The id becomes a part of a path.
    if id.is_empty() || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(CliError::usage("ID must be the id of a request, as `valetkey access list` prints it"));
    }
    let request = OpsRequest::post(format!("/access/requests/{id}"), &json!({ "decision": decision }));
    let responses = request.send_all(gateway.socket.as_ref()).await?;
    let Some(decided) = responses.iter().find(|response| response.status.is_success()) else {
        return Err(undecided(&responses));
    };
    let decided = decided.json().map_err(CliError::failed)?;
    let lifetime = match &decided["lifetime_seconds"] {
        Value::Number(seconds) => format!(" for {seconds} s"),
        _ => String::new(),
    };
    print_lines([format!(
        "{outcome}: {}{lifetime}, in the session {} of {}",
        requested(&decided),
        short_id(&decided),
        text(&decided["principal"])
    )])
}

/// Returns why no gateway has taken a decision.
fn undecided(responses: &[OpsResponse]) -> CliError {
    // A gateway of an earlier release has no such path.
    let is_unknown = |status| matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    let refused = responses.iter().find(|response| !is_unknown(response.status));
    CliError::failed(match refused {
        Some(refused) => refused.text(),
        None if responses.is_empty() => NO_GATEWAY.to_owned(),
        None => "no such request waits: it was decided or withdrawn, or its time is over; see `valetkey access list`"
            .to_owned(),
    })
}

/// Prints the address of each status page that takes decisions.
async fn print_pages(arguments: &AccessPageArgs) -> Result<(), CliError> {
    let request = OpsRequest::post("/access/code", &json!({}));
    let responses = request.send_all(arguments.gateway.socket.as_ref()).await?;
    let issued: Vec<_> = responses.iter().filter_map(|response| response.json().ok()).collect();
    if issued.is_empty() {
        return Err(match responses.first() {
            Some(refused) => CliError::failed(format!(
                "{}; start it with `--ops 127.0.0.1:9464`, or decide with `valetkey access approve`",
                refused.text()
            )),
            None => CliError::failed(NO_GATEWAY),
        });
    }
    // The part after `#` is not sent to the gateway, and not logged.
    print_lines(issued.iter().map(|issued| format!("{}#{}", text(&issued["page"]), text(&issued["code"]))))
}
