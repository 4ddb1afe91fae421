//! `request_aws_access`: requests access that the session does not have, for a limited time.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `access` | string | the name of an access that the host offers |
//! | `reason` | string | why it is needed, for the person who decides; at most 500 characters |
//! | `lifetime` | integer | in seconds (default and maximum: that of the access) |
//!
//! # Result
//! `credential_session` is a handle. Calls that have it run with the granted access; all other calls run with that of the
//! session, before and after. `access`, `accounts` and `ends_at` describe the grant.
//!
//! # Errors
//! - `Invalid`: an argument is malformed or unknown.
//! - `NotConfigured`: no person can be reached.
//! - `Denied`: the person has refused, or has refused as often as may be requested.
//! - `Throttled`: another request waits for the person, or too many sessions are open.
//! - `Closed`: the session has ended meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::audit::{AuditEvent, DecisionChannel, NarrowDetails};
use valetkey_core::{Error, ErrorKind, Result, SessionContext, SessionPolicy};

use super::permit::{RequestLimit, RequestPermit, session_ended, while_open};
use super::{AccessDecision, AccessRequest, Approver, NoApprover, REQUEST_ACCESS_TOOL, RequestableAccess};
use crate::arguments::{ToolArguments, missing_field};
use crate::sessions::{CREDENTIAL_SESSION_ARG, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// What a model may request, and the session that has it.
#[derive(Debug)]
pub(crate) struct AccessOffers {
    pub(crate) session: SessionContext,
    pub(crate) offers: BTreeMap<String, RequestableAccess>,
}

const MAX_REASON_CHARS: usize = 500;

/// Requests access, and creates a session that has it once a person has granted the request.
pub(crate) struct RequestAccess {
    /// The sessions of the tools, which have less access.
    sessions: SessionStore,
    offers: AccessOffers,
    definition: ToolDefinition,
    limit: RequestLimit,
}

impl RequestAccess {
    pub(crate) fn new(sessions: SessionStore, offers: AccessOffers) -> Self {
        let definition = definition(&offers.offers);
        Self { sessions, offers, definition, limit: RequestLimit::default() }
    }

    async fn request(&self, input: Value, approver: &dyn Approver) -> Result<ToolOutput> {
        let (access, request) = self.parse(input)?;
        let mut pending = PendingRequest::begin(self, &request.name)?;
        let (channel, granted) = match while_open(self.sessions.own(), approver.decide(&request)).await {
            Ok(AccessDecision::Granted(channel)) => (Some(channel), self.grant(access, &request)),
            Ok(AccessDecision::Refused(channel, error)) => (Some(channel), Err(error)),
            Err(error) => (None, Err(error)),
        };
        pending.end(channel, granted.as_ref().err());
        let (session, handle) = granted?;
        self.record_grant(&session, &request, channel, approver);
        let ends_at = session.expires_at();
        let text = format!(
            "A person has granted the access `{}` until {ends_at}. Give `{CREDENTIAL_SESSION_ARG}`: {handle} in each \
             call that needs it; calls without it run with the session's usual access",
            request.name
        );
        let structured = json!({
            CREDENTIAL_SESSION_ARG: handle, "access": request.name, "accounts": session.accounts(), "ends_at": ends_at,
        });
        Ok(ToolOutput::ok(text).with_structured(structured))
    }

    fn parse(&self, input: Value) -> Result<(&RequestableAccess, AccessRequest)> {
        let mut arguments = ToolArguments::parse(&self.definition, input)?;
        let name = arguments.take_non_blank("access")?.ok_or_else(|| missing_field("access"))?;
        let access = self.offers.offers.get(&name).ok_or_else(|| self.unknown_access())?;
        let reason = arguments.take_non_blank("reason")?.ok_or_else(|| missing_field("reason"))?;
        if reason.chars().count() > MAX_REASON_CHARS {
            return Err(Error::invalid("reason", format!("must have at most {MAX_REASON_CHARS} characters")));
        }
        let lifetime = match arguments.take_non_null("lifetime")? {
            Some(seconds) => parse_lifetime(&seconds, access.max_lifetime)?,
            None => access.max_lifetime,
        };
        let accounts = access.accounts.clone().unwrap_or_else(|| self.offers.session.accounts());
        let request = AccessRequest {
            name,
            accounts,
            policy: access.policy.clone(),
            reason,
            lifetime,
            session: self.offers.session.id(),
            principal: self.offers.session.principal().cloned(),
        };
        Ok((access, request))
    }

    fn unknown_access(&self) -> Error {
        let names: Vec<_> = self.offers.offers.keys().map(String::as_str).collect();
        Error::invalid("access", "must be the name of an access that this host offers")
            .with_next_step(format!("use one of: {}", names.join(", ")))
    }

    /// Creates the session with the granted access, which ends with the session of the tools at the latest.
    fn grant(&self, access: &RequestableAccess, request: &AccessRequest) -> Result<(SessionContext, String)> {
        let own = self.sessions.own();
        if own.is_closed() {
            return Err(session_ended());
        }
        let remaining = own.expires_at().remaining(own.clock().now());
        let lifetime = remaining.into_iter().fold(request.lifetime, Duration::min);
        let granted = self.offers.session.narrow(access.scope(lifetime))?;
        let handle = self.sessions.insert_granted(granted.clone())?;
        Ok((granted, handle.to_string()))
    }

    fn record_grant(
        &self,
        granted: &SessionContext,
        request: &AccessRequest,
        channel: Option<DecisionChannel>,
        approver: &dyn Approver,
    ) {
        let details = NarrowDetails::of(granted, request.policy.as_ref().map(SessionPolicy::digest));
        let own = self.sessions.own();
        own.audit_access(AuditEvent::GrantAccess, &request.name, Some(&details), channel, None);
        let (ended, own, name) = (granted.closed(), own.downgrade(), request.name.clone());
        approver.spawn_watch(Box::pin(async move {
            ended.await;
            if let Some(own) = own.upgrade() {
                own.audit_access(AuditEvent::EndAccess, &name, Some(&details), None, None);
            }
        }));
    }
}

/// A request that waits for a decision. One that is dropped was not granted.
struct PendingRequest<'a> {
    tool: &'a RequestAccess,
    name: &'a str,
    permit: RequestPermit<'a>,
    is_decided: bool,
}

impl<'a> PendingRequest<'a> {
    fn begin(tool: &'a RequestAccess, name: &'a str) -> Result<Self> {
        let permit = tool.limit.begin()?;
        tool.sessions.own().audit_access(AuditEvent::RequestAccess, name, None, None, None);
        Ok(Self { tool, name, permit, is_decided: false })
    }

    fn end(&mut self, channel: Option<DecisionChannel>, failure: Option<&Error>) {
        self.is_decided = true;
        self.permit.end(failure);
        if let Some(error) = failure {
            let own = self.tool.sessions.own();
            own.audit_access(AuditEvent::RefuseAccess, self.name, None, channel, Some(error));
        }
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if !self.is_decided {
            self.end(None, Some(&Error::new(ErrorKind::Unavailable, "the call ended before a decision")));
        }
    }
}

#[async_trait]
impl Tool for RequestAccess {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.call_with(input, &NoApprover).await
    }

    async fn call_with(&self, input: Value, approver: &dyn Approver) -> ToolOutput {
        self.request(input, approver).await.into()
    }
}

fn parse_lifetime(given: &Value, max: Duration) -> Result<Duration> {
    let seconds = given.as_u64().filter(|seconds| (1..=max.as_secs()).contains(seconds));
    let rule = || format!("must be a whole number of seconds, 1 to {} for this access", max.as_secs());
    seconds.map(Duration::from_secs).ok_or_else(|| Error::invalid("lifetime", rule()))
}

fn definition(offers: &BTreeMap<String, RequestableAccess>) -> ToolDefinition {
    let description = "Request AWS access that this session does not have. A person decides, and may refuse. If the \
                       request is granted, the result is a handle: a call of any tool that has it as \
                       `credential_session` runs with this access until it ends; every other call runs as before. \
                       Request no more than the task needs, and state honestly why.";
    let names: Vec<_> = offers.keys().collect();
    let max_lifetime = offers.values().map(|access| access.max_lifetime.as_secs()).max();
    let input = json!({
        "type": "object",
        "properties": {
            "access": {"enum": names, "description": "The name of the access"},
            "reason": {
                "type": "string", "minLength": 1, "maxLength": MAX_REASON_CHARS,
                "description": "Why it is needed, for the person who decides",
            },
            "lifetime": {
                "type": "integer", "minimum": 1, "maximum": max_lifetime,
                "description": "In seconds; the longest time that the access allows if left out",
            },
        },
        "required": ["access", "reason"],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            CREDENTIAL_SESSION_ARG: {"type": "string", "description": "The handle"},
            "access": {"type": "string"},
            "accounts": {"type": "array", "items": {"type": "string"}, "description": "The default one first"},
            "ends_at": {"type": ["string", "null"], "description": "RFC 3339"},
        },
        "required": [CREDENTIAL_SESSION_ARG, "access", "accounts", "ends_at"],
    });
    ToolDefinition::new(REQUEST_ACCESS_TOOL, description, input)
        .title("Request AWS access")
        .output_schema(output)
        .annotations(ToolAnnotations::default().additive())
}
