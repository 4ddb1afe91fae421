//! The texts that adopting writes: the servers, the settings, and the client's file with valetkey in it.

use std::path::Path;

use jsonc_parser::cst::{CstInputValue, CstNode, CstObject};
use toml::{Table, Value};

use super::accounts::{AccountKey, Source};
use super::client_file::ClientFile;
use super::plan::{Access, AdoptedServer, Plan};
use super::references::PassedVars;
use crate::settings::Diagnostic;

/// Returns the text of `servers.json`: the entries of the client, without what the accounts replace.
pub(super) fn servers_text(file: &ClientFile, plan: &mut Plan) -> Result<String, Diagnostic> {
    let (_root, servers) = file.servers()?;
    for entry in servers.properties() {
        let name = entry.decoded_name().unwrap_or_default();
        match plan.servers.iter().find(|server| server.name == name) {
            Some(server) => {
                entry.object_value().iter().for_each(|fields| remove_replaced(fields, server));
                entry.value().iter().for_each(|value| rewrite_references(value, &mut plan.passed));
            }
            None => entry.remove(),
        }
    }
    Ok(format!("{{\n  \"mcpServers\": {servers}\n}}\n"))
}

/// Removes the variables and the arguments that an account replaces.
fn remove_replaced(fields: &CstObject, server: &AdoptedServer) {
    if let Some(env) = fields.object_value("env") {
        server.removed_env.iter().filter_map(|name| env.get(name)).for_each(|variable| variable.remove());
        if env.properties().is_empty() {
            fields.get("env").into_iter().for_each(|env| env.remove());
        }
    }
    if let Some(args) = fields.array_value("args") {
        let elements = args.elements();
        let removed = server.removed_args.iter().filter_map(|index| elements.get(*index).cloned());
        removed.for_each(CstNode::remove);
    }
}

/// Replaces the references that only the client can resolve by variables that it passes.
fn rewrite_references(node: &CstNode, passed: &mut PassedVars) {
    if let Some(object) = node.as_object() {
        let values = object.properties().into_iter().filter_map(|property| property.value());
        values.for_each(|value| rewrite_references(&value, passed));
    } else if let Some(array) = node.as_array() {
        array.elements().iter().for_each(|element| rewrite_references(element, passed));
    } else if let Some(text) = node.as_string_lit() {
        // In JSON text, a reference contains no escapes.
        let raw = text.raw_value();
        let rewritten = passed.rewrite(&raw);
        if rewritten != raw {
            text.set_raw_value(rewritten);
        }
    }
}

/// The command by which the client starts valetkey.
#[derive(Debug)]
pub(super) struct GatewayCommand<'a> {
    pub(super) program: &'a Path,
    pub(super) servers: &'a Path,
    pub(super) settings: &'a Path,
}

/// Returns the client's file with one entry in place of those that valetkey runs.
pub(super) fn client_text(
    file: &ClientFile,
    plan: &Plan,
    command: &GatewayCommand<'_>,
) -> Result<String, Diagnostic> {
    let (root, servers) = file.servers()?;
    let entries = servers.properties();
    let is_typed =
        entries.iter().any(|entry| entry.object_value().is_some_and(|fields| fields.get("type").is_some()));
    for entry in entries {
        let name = entry.decoded_name().unwrap_or_default();
        if plan.servers.iter().any(|server| server.name == name) {
            entry.remove();
        }
    }
    let names =
        std::iter::once("valetkey".to_owned()).chain((2..).map(|number| format!("valetkey-{number}")));
    let name = names.into_iter().find(|name| servers.get(name).is_none()).unwrap_or_default();
    servers.append(&name, gateway_entry(plan, command, is_typed));
    Ok(file.edited_text(&root))
}

/// Returns the entry that starts valetkey: the program, the file of servers and the settings.
fn gateway_entry(plan: &Plan, command: &GatewayCommand<'_>, is_typed: bool) -> CstInputValue {
    let text = |path: &Path| path.display().to_string();
    let (servers, settings) = (text(command.servers), text(command.settings));
    let args = ["serve", "--mcp-config", &servers, "--config", &settings].map(CstInputValue::from).into();
    let mut fields = Vec::new();
    if is_typed {
        fields.push(("type".to_owned(), "stdio".into()));
    }
    fields.push(("command".to_owned(), text(command.program).into()));
    fields.push(("args".to_owned(), CstInputValue::Array(args)));
    let env: Vec<_> = plan.passed.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    if !env.is_empty() {
        fields.push(("env".to_owned(), CstInputValue::Object(env)));
    }
    CstInputValue::Object(fields)
}

/// Returns the text of `valetkey.toml`.
pub(super) fn settings_text(plan: &Plan, client: &str) -> String {
    let mut text = format!("# Written by `valetkey adopt` from {}.\n", client.escape_debug());
    if let Some(default) = plan.accounts.default_alias().filter(|_| plan.accounts.iter().count() > 1) {
        text.push_str(&section("session", None, [("default_account", default)]));
    }
    for (alias, account) in plan.accounts.iter() {
        text.push_str(&section("accounts", Some(alias), account_fields(account)));
    }
    for server in &plan.servers {
        let fields = match &server.access {
            Access::Proxy(alias) => vec![("account", alias.as_str()), ("credentials", "proxy")],
            Access::Endpoint(alias) => vec![("account", alias.as_str())],
            Access::Environment(alias) => vec![("account", alias.as_str()), ("credentials", "env")],
            Access::None | Access::Unknown => vec![("credentials", "none")],
        };
        if server.access == Access::Unknown {
            text.push_str(
                "\n# If this server uses AWS, write `account = \"NAME\"` in place of the next line but one.",
            );
        }
        text.push_str(&section("servers", Some(&server.name), fields));
    }
    text
}

fn account_fields(account: &AccountKey) -> Vec<(&'static str, &str)> {
    let provider = match &account.source {
        Source::Profile(name) => vec![("provider", "profile"), ("name", name)],
        Source::Environment => vec![("provider", "environment")],
        Source::DefaultChain => vec![("provider", "default-chain")],
    };
    provider.into_iter().chain(account.region.as_deref().map(|region| ("region", region))).collect()
}

/// Returns a table of strings with a blank line before it.
fn section<'a>(
    name: &str,
    member: Option<&str>,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())));
    let mut table = fields.collect::<Table>();
    if let Some(member) = member {
        table = Table::from_iter([(member.to_owned(), Value::Table(table))]);
    }
    format!("\n{}", Table::from_iter([(name.to_owned(), Value::Table(table))]))
}
