//! `Plan`: which servers of a client's file valetkey takes over, and with which credentials.

use std::ffi::OsStr;

use serde_json::{Map, Value};
use valetkey::Region;
use valetkey::mcp::child::overrides_credentials;

use super::accounts::{AccountKey, Accounts, Source};
use super::aws_use::{AwsUse, aws_use};
use super::client_file::ClientFile;
use super::entry::{
    args_of, check_command_line, env_of, is_container, passes_keys_to_container, profile_option,
};
use super::references::{PassedVars, is_reference};
use crate::check::proxy_obstacle;
use crate::settings::Diagnostic;

const KEY_VARS: &[&str] =
    &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"];
pub(super) const PROFILE_VARS: &[&str] = &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
const REGION_VARS: &[&str] = &["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Prefixes of the ids of long-lived and of temporary keys.
const KEY_ID_PREFIXES: &[&str] = &["AKIA", "ASIA"];
const KEY_ID_LEN: usize = 20;

const KEY_REMEDY: &str = "is a key, which adopt does not copy; store it in a profile (`aws configure --profile NAME`), write \
     `\"AWS_PROFILE\": \"NAME\"` in its place, and rotate the key, because programs could read it here";

/// The servers that valetkey runs, their accounts, and the servers that stay with the client.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) servers: Vec<AdoptedServer>,
    pub(super) accounts: Accounts,
    pub(super) passed: PassedVars,
    /// The servers that stay with the client, with the reason.
    pub(super) left: Vec<(String, String)>,
}

/// A server that valetkey runs.
#[derive(Debug)]
pub(super) struct AdoptedServer {
    pub(super) name: String,
    pub(super) access: Access,
    /// Variables of the entry that the account replaces.
    pub(super) removed_env: Vec<String>,
    /// The indices of arguments that the account replaces.
    pub(super) removed_args: Vec<usize>,
}

/// The credentials of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Of an account, whose signing proxy is the endpoint of the server's SDK.
    Proxy(String),
    /// Of an account, from the credential endpoint, because the proxy does not reach what the server uses.
    Endpoint(String),
    /// Of an account, in the environment of a container.
    Environment(String),
    /// None, because the server uses no AWS.
    None,
    /// None, because adopt does not know the server.
    Unknown,
}

impl Plan {
    /// Plans for every server of the file.
    ///
    /// # Errors
    /// Returns an error for each static key in the file. It names the entry and the field, never the value.
    pub(super) fn new(file: &ClientFile) -> Result<Self, Vec<Diagnostic>> {
        let entries = file.entries().map_err(|error| vec![error])?;
        let keys: Vec<Diagnostic> =
            entries.iter().flat_map(|(name, entry)| static_keys(file, name, entry)).collect();
        if !keys.is_empty() {
            return Err(keys);
        }
        let mut plan = Self::default();
        for (name, entry) in entries {
            match plan.adopt(file, &name, &entry) {
                Ok(server) => plan.servers.push(server),
                Err(reason) => plan.left.push((name, reason)),
            }
        }
        Ok(plan)
    }

    /// Returns the server, or the reason why it stays with the client.
    fn adopt(
        &mut self,
        file: &ClientFile,
        name: &str,
        entry: &Map<String, Value>,
    ) -> Result<AdoptedServer, String> {
        if file.gateway().as_deref() == Some(name) {
            return Err("it is valetkey".to_owned());
        }
        let errors = file.config.errors.iter().chain(&file.config.warnings);
        if !file.config.servers.contains_key(name) {
            let error =
                errors.filter(|error| error.server == name).map(|error| error.error.to_string()).next();
            return Err(error.unwrap_or_else(|| "valetkey cannot read its entry".to_owned()));
        }
        if file.config.servers.get(name).is_some_and(|server| server.url.is_some()) {
            return Err("it is a remote server, at which the client signs in itself; to limit its tools, or to sign its \
                        requests, list it in the file of servers"
                .to_owned());
        }
        check_command_line(entry)?;
        let mut server = AdoptedServer {
            name: name.to_owned(),
            access: Access::None,
            removed_env: Vec::new(),
            removed_args: Vec::new(),
        };
        server.access = match aws_use(entry) {
            AwsUse::No => Access::None,
            AwsUse::Unknown => Access::Unknown,
            AwsUse::Yes => self.access(file, entry, &mut server)?,
        };
        Ok(server)
    }

    /// Returns the credentials of a server that uses AWS, and notes what they replace.
    fn access(
        &mut self,
        file: &ClientFile,
        entry: &Map<String, Value>,
        server: &mut AdoptedServer,
    ) -> Result<Access, String> {
        let in_container = is_container(entry);
        if in_container && !passes_keys_to_container(entry) {
            return Err("it runs in a container, which gets no credentials; pass them to it with `-e AWS_ACCESS_KEY_ID \
                        -e AWS_SECRET_ACCESS_KEY -e AWS_SESSION_TOKEN`, and adopt again"
                .to_owned());
        }
        let env = env_of(entry);
        if let Some((name, _)) = env.iter().find(|(name, _)| is_other_source(name)) {
            return Err(format!("it gets AWS credentials by `{name}`, which valetkey replaces by accounts"));
        }
        let source = self.source(entry, &env, server)?;
        let region = self.region(&env, server);
        let alias = self.accounts.alias(AccountKey { source, region });
        Ok(match (in_container, file.config.servers.get(&server.name)) {
            (true, _) => Access::Environment(alias),
            (false, Some(config)) if proxy_obstacle(config).is_none() => Access::Proxy(alias),
            (false, _) => Access::Endpoint(alias),
        })
    }

    /// Returns the source of the account that replaces the profile and the keys of the entry.
    fn source(
        &mut self,
        entry: &Map<String, Value>,
        env: &[(String, String)],
        server: &mut AdoptedServer,
    ) -> Result<Source, String> {
        let named = |names: &[&str]| {
            env.iter()
                .filter(|(name, value)| names.contains(&name.as_str()) && !value.is_empty())
                .collect::<Vec<_>>()
        };
        let (keys, profiles) = (named(KEY_VARS), named(PROFILE_VARS));
        let replaced =
            env.iter().map(|(name, _)| name).filter(|name| is_any(name, &[KEY_VARS, PROFILE_VARS]));
        server.removed_env.extend(replaced.cloned());
        for (name, reference) in keys.iter().chain(&profiles).filter(|(_, value)| value.contains("${")) {
            if !self.passed.pass_as(name, reference) {
                return Err(format!(
                    "another server has a different `{name}`; give the two servers profiles"
                ));
            }
        }
        if !keys.is_empty() {
            return Ok(Source::Environment);
        }
        if let Some((index, length, profile)) = profile_option(entry) {
            server.removed_args.extend(index..index + length);
            return Ok(Source::Profile(profile));
        }
        match profiles.first() {
            Some((_, profile)) if !profile.contains("${") => Ok(Source::Profile(profile.clone())),
            _ => Ok(Source::DefaultChain),
        }
    }

    /// Returns the region of the entry, if the account can have it.
    fn region(&self, env: &[(String, String)], server: &mut AdoptedServer) -> Option<String> {
        let named = REGION_VARS.iter().filter_map(|name| env.iter().find(|(other, _)| other == name));
        let (_, region) = named.into_iter().find(|(_, value)| !value.is_empty())?;
        region.parse::<Region>().ok()?;
        server
            .removed_env
            .extend(env.iter().map(|(name, _)| name).filter(|name| is_any(name, &[REGION_VARS])).cloned());
        Some(region.clone())
    }
}

fn is_any(name: &str, lists: &[&[&str]]) -> bool {
    lists.iter().any(|list| list.contains(&name))
}

/// Whether the variable selects AWS credentials in a way that no account replaces.
fn is_other_source(name: &str) -> bool {
    overrides_credentials(OsStr::new(name))
        && !is_any(name, &[KEY_VARS, PROFILE_VARS])
        && name != "AWS_EC2_METADATA_DISABLED"
}

/// Returns an error for each static key of an entry.
fn static_keys(file: &ClientFile, name: &str, entry: &Map<String, Value>) -> Vec<Diagnostic> {
    let is_key_var = |name: &str| is_any(name, &[KEY_VARS]) || name.starts_with("AWS_BEARER_TOKEN_");
    let env = env_of(entry);
    let variables = env.iter().filter(|(variable, value)| {
        let is_key = is_key_var(variable) && !value.is_empty() && !is_reference(value);
        is_key || value.split(|c: char| !c.is_ascii_alphanumeric()).any(is_key_id)
    });
    let variables =
        variables.map(|(variable, _)| file.diagnostic(name, Some(&format!("env.{variable}")), KEY_REMEDY));
    let in_args = args_of(entry).into_iter().any(|arg| {
        let assigned = arg.split_once('=').filter(|(option, value)| is_key_var(option) && !value.is_empty());
        let has_key_id = arg.split(|c: char| !c.is_ascii_alphanumeric()).any(is_key_id);
        assigned.is_some_and(|(_, value)| !is_reference(value)) || has_key_id
    });
    variables.chain(in_args.then(|| file.diagnostic(name, Some("args"), KEY_REMEDY))).collect()
}

fn is_key_id(word: &str) -> bool {
    word.len() == KEY_ID_LEN
        && KEY_ID_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
