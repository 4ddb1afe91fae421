//! `narrow_aws_credentials`: narrows the session for a sub-agent and returns a handle.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `accounts` | array of strings | the accounts to keep (default: all accounts that the policy can narrow) |
//! | `policy` | object or JSON text | an IAM policy document: the most that the narrowed session may do |
//! | `policy_name` | string | the name of a policy that the host offers, in place of `policy` |
//! | `lifetime` | integer | in seconds, 1 to 43,200 (default: 3,600) |
//! | `credential_session` | string | the handle of the session to narrow further |
//!
//! Every argument limits the result. So `null`, blank and unknown arguments are errors: without them the narrowed
//! session would have more authority than the caller intended.
//!
//! # Result
//! `credential_session` is the handle, `accounts` has the aliases with the default account first, `policy_digest`
//! identifies the policy in the audit log, and `ends_at` is the end of the session in RFC 3339.
//!
//! # Errors
//! - `Invalid`: an argument is malformed, or both policies are given.
//! - `NotConfigured`: the host offers no policy of that name, or the session has no such account.
//! - `Denied`: the credentials of an account cannot be narrowed by a policy.
//! - `Throttled`: 32 narrowed sessions are open.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::{
    AccountName, CredentialProvider, Error, ErrorKind, Result, SessionContext, SessionPolicy,
};

use crate::arguments::{ToolArguments, not_an_object, parse_text};
use crate::narrowed::Narrowing;
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// The policies that the host offers, by name.
pub(crate) type NamedPolicies = BTreeMap<String, SessionPolicy>;

/// Shared by the tools of all sessions without policies: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(|| definition(&NamedPolicies::new()));

const DEFAULT_LIFETIME_SECONDS: u64 = 60 * 60;
const MAX_LIFETIME_SECONDS: u64 = 12 * 60 * 60;

/// Narrows a session and returns a handle of the result.
pub(crate) struct NarrowCredentials {
    sessions: SessionStore,
    policies: NamedPolicies,
    /// Differs from the shared definition by the names of the policies; `None` if there are none.
    own_definition: Option<Box<ToolDefinition>>,
}

impl NarrowCredentials {
    pub(crate) fn new(sessions: SessionStore, policies: NamedPolicies) -> Self {
        let own_definition = (!policies.is_empty()).then(|| Box::new(definition(&policies)));
        Self { sessions, policies, own_definition }
    }

    fn narrow(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(self.definition(), input)?;
        let (parent, session) = self.sessions.parent_for_call(&mut arguments)?;
        let policy = self.take_policy(&mut arguments)?;
        let named =
            arguments.take_non_null("accounts")?.map(|accounts| parse_accounts(&accounts)).transpose()?;
        let accounts = named.or_else(|| narrowable_accounts(policy.as_ref()?, &session));
        let lifetime = parse_lifetime(arguments.take_non_null("lifetime")?)?;
        let digest = policy.as_ref().map(SessionPolicy::digest);
        let narrowing = Narrowing { parent, accounts, policy };
        let narrowed = session.narrow(narrowing.scope().lifetime(lifetime))?;
        let (accounts, ends_at) = (narrowed.accounts(), narrowed.expires_at());
        let handle = self.sessions.insert(narrowed, narrowing)?.to_string();
        let text = format!(
            "Successfully narrowed AWS credentials. Have the sub-agent give `credential_session`: {handle} in every call"
        );
        let structured = json!({
            "credential_session": handle, "accounts": accounts, "policy_digest": digest, "ends_at": ends_at,
        });
        Ok(ToolOutput::ok(text).with_structured(structured))
    }

    /// Removes and returns the policy, which is either a document or the name of a policy that the host offers.
    fn take_policy(&self, arguments: &mut ToolArguments) -> Result<Option<SessionPolicy>> {
        let (name, written) = (arguments.take_non_null("policy_name")?, arguments.take_non_null("policy")?);
        let is_blank = name.is_some() || written.is_some();
        let name = parse_text("policy_name", name.as_ref())?.map(str::to_owned);
        let written = match written {
            Some(Value::String(json)) if json.trim().is_empty() => None,
            Some(Value::String(json)) => Some(json),
            Some(Value::Object(document)) => Some(Value::Object(document).to_string()),
            Some(_) => return Err(not_an_object("policy")),
            None => None,
        };
        match (written, name) {
            (Some(_), Some(_)) => Err(Error::invalid("policy", "and `policy_name` exclude each other")
                .with_next_step("give one of the two")),
            (Some(json), None) => json.parse().map(Some),
            (None, Some(name)) => {
                self.policies.get(&name).cloned().map(Some).ok_or_else(|| self.unknown_policy())
            }
            // A caller that passes a blank policy intended to limit something.
            (None, None) if is_blank => Err(Error::invalid("policy", "must not be blank")
                .with_next_step("give a policy or the name of one, or leave both out")),
            (None, None) => Ok(None),
        }
    }

    fn unknown_policy(&self) -> Error {
        let names: Vec<_> = self.policies.keys().map(String::as_str).collect();
        let step = match names.as_slice() {
            [] => "give a `policy`; this host offers none by name".to_owned(),
            _ => format!("use one of: {}", names.join(", ")),
        };
        Error::new(ErrorKind::NotConfigured, "there is no policy of that name")
            .with_field("policy_name")
            .with_next_step(step)
    }
}

#[async_trait]
impl Tool for NarrowCredentials {
    fn definition(&self) -> &ToolDefinition {
        self.own_definition.as_deref().unwrap_or(&DEFINITION)
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.narrow(input).into()
    }
}

/// Returns the accounts that the policy can narrow. Source accounts of derived credentials are excluded automatically.
/// Returns `None` if there are none, so that `narrow` reports the reason.
fn narrowable_accounts(policy: &SessionPolicy, session: &SessionContext) -> Option<Vec<AccountName>> {
    let can =
        |alias: &AccountName| session.account(alias).and_then(|account| account.scope_down(policy)).is_ok();
    let accounts: Vec<_> = session.accounts().into_iter().filter(can).collect();
    (!accounts.is_empty()).then_some(accounts)
}

fn parse_lifetime(given: Option<Value>) -> Result<Duration> {
    let seconds = given.map_or(Some(DEFAULT_LIFETIME_SECONDS), |given| given.as_u64());
    let seconds = seconds.filter(|seconds| (1..=MAX_LIFETIME_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Error::invalid("lifetime", format!("must be a whole number of seconds, 1 to {MAX_LIFETIME_SECONDS}"))
    })
}

fn parse_accounts(given: &Value) -> Result<Vec<AccountName>> {
    let wrong = || Error::invalid("accounts", "must be a list of account aliases");
    let alias = |one: &Value| AccountName::parse("accounts", one.as_str().ok_or_else(wrong)?.trim());
    given.as_array().ok_or_else(wrong)?.iter().map(alias).collect()
}

fn definition(policies: &NamedPolicies) -> ToolDefinition {
    let description = "Narrow this session's AWS credentials for a sub-agent: to some of the accounts, to what an IAM \
                       policy allows, for a limited time. The answer is a handle. A call of any tool that has it as \
                       `credential_session` runs with the narrowed credentials, and nothing widens them; a call \
                       without it runs with all that this session has.";
    let mut properties = json!({
        "accounts": {
            "type": "array", "items": {"type": "string"}, "minItems": 1,
            "description": "Aliases of the accounts to keep; if left out, all that the policy can be put on",
        },
        "policy": {
            "type": ["object", "string"],
            "description": "IAM policy document, an object or JSON text, that says what may be done at most. What the \
                            session itself may not do stays refused. Needs accounts that assume a role or federate",
        },
        "lifetime": {
            "type": "integer", "minimum": 1, "maximum": MAX_LIFETIME_SECONDS, "default": DEFAULT_LIFETIME_SECONDS,
            "description": "In seconds",
        },
    });
    if !policies.is_empty() {
        let names: Vec<_> = policies.keys().collect();
        properties["policy_name"] =
            json!({"enum": names, "description": "A policy of this host, in place of `policy`"});
    }
    let output = json!({
        "type": "object",
        "properties": {
            "credential_session": {"type": "string", "description": "The handle"},
            "accounts": {"type": "array", "items": {"type": "string"}, "description": "The default one first"},
            "policy_digest": {"type": ["string", "null"], "description": "Names the policy in the audit log"},
            "ends_at": {"type": ["string", "null"], "description": "RFC 3339"},
        },
        "required": ["credential_session", "accounts", "ends_at"],
    });
    ToolDefinition::new("narrow_aws_credentials", description, sessions::input_schema(properties, &[]))
        .title("Narrow AWS credentials")
        .output_schema(output)
        .annotations(ToolAnnotations::default().additive().closed_world())
}
