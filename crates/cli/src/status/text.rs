//! The status of gateways as aligned text. It is read leniently: a gateway may be of another release.

use serde_json::Value;

use crate::table::table_text;

const ACCOUNT_HEADINGS: [&str; 7] =
    ["SESSION", "PRINCIPAL", "ACCOUNT", "REGION", "PROVIDER", "KEY", "EXPIRES"];
const REQUEST_HEADINGS: [&str; 4] = ["SESSION", "PRINCIPAL", "REQUESTED", "REQUEST"];
const SERVER_HEADINGS: [&str; 3] = ["SESSION", "SERVER", "PROCESS"];
/// How many digits of a session's id are shown.
const SHORT_ID: usize = 8;

/// Returns a section for each gateway.
pub(super) fn gateways_text(gateways: &[Value]) -> String {
    if gateways.is_empty() {
        return "no gateway of this user is running; start one with `valetkey serve`\n".to_owned();
    }
    gateways.iter().map(gateway_text).collect::<Vec<_>>().join("\n")
}

fn gateway_text(gateway: &Value) -> String {
    let sessions = list(&gateway["sessions"]);
    let state = match &gateway["ready"] {
        Value::Bool(true) => "ready".to_owned(),
        _ => format!("not ready: {}", text(&gateway["reason"])),
    };
    let mut section = table_text(
        ["GATEWAY", "TRANSPORT", "VERSION", "SINCE", "SESSIONS", "STATE"],
        [[
            text(&gateway["pid"]),
            text(&gateway["transport"]),
            text(&gateway["version"]),
            text(&gateway["started_at"]),
            sessions.len().to_string(),
            state,
        ]],
    );
    let accounts: Vec<_> = sessions.iter().flat_map(account_rows).collect();
    if !accounts.is_empty() {
        section += &table_text(ACCOUNT_HEADINGS, accounts);
    }
    let servers: Vec<_> = sessions.iter().flat_map(server_rows).collect();
    if !servers.is_empty() {
        section += &table_text(SERVER_HEADINGS, servers);
    }
    let requests: Vec<_> = list(&gateway["access"]["requests"]).iter().map(request_row).collect();
    if !requests.is_empty() {
        section += &table_text(REQUEST_HEADINGS, requests);
        section += "decide with `valetkey access`\n";
    }
    section
}

fn account_rows(session: &Value) -> Vec<[String; 7]> {
    let row = |account: &Value| {
        let key = match &account["key_suffix"] {
            Value::String(suffix) => format!("…{suffix}"),
            _ => "none".to_owned(),
        };
        let expires_at = match (&account["expires_at"], &account["key_suffix"]) {
            (Value::Null, Value::String(_)) => "never".to_owned(),
            (expires_at, _) => text(expires_at),
        };
        [
            short_id(session),
            text(&session["principal"]),
            text(&account["account"]),
            text(&account["region"]),
            text(&account["provider"]),
            key,
            expires_at,
        ]
    };
    list(&session["accounts"]).iter().map(row).collect()
}

fn server_rows(session: &Value) -> Vec<[String; 3]> {
    let row = |server: &Value| [short_id(session), text(&server["server"]), text(&server["pid"])];
    list(&session["servers"]).iter().map(row).collect()
}

fn request_row(request: &Value) -> [String; 4] {
    [short_id(request), text(&request["principal"]), requested(request), text(&request["id"])]
}

/// Names what is requested from a person.
pub(crate) fn requested(request: &Value) -> String {
    match &request["kind"] {
        Value::String(kind) if kind == "sign_in" => format!("sign-in for `{}`", text(&request["account"])),
        _ => format!("access `{}`", text(&request["access"])),
    }
}

pub(crate) fn short_id(session: &Value) -> String {
    text(&session["session"]).chars().take(SHORT_ID).collect()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
