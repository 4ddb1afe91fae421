//! `ClientProfile`: the protocol era and the capabilities of a client. A server process is initialized with them.

use serde_json::{Map, Value, json};

use crate::meta::CLIENT_CAPABILITIES;

const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// The capabilities for requests of servers, which are the same in both eras.
const INPUT_CAPABILITIES: [&str; 3] = ["elicitation", "roots", "sampling"];

/// What a client has declared. Two clients with equal profiles can use the same server process.
///
/// The default is the profile of a program that is no MCP client: it has no capabilities and accepts every era.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ClientProfile {
    era: Option<ClientEra>,
    /// The capabilities as the client sent them.
    capabilities: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ClientEra {
    Legacy,
    Modern,
}

/// Why a request of a server is not passed on: a JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    code: i32,
    message: &'static str,
}

impl Refusal {
    pub(crate) const NO_REQUESTS: Self =
        Self::method_not_found("the client's protocol version has no requests from servers");
    pub(crate) const NO_CLIENT: Self = Self::internal("no client is there to handle the request");
    pub(crate) const UNREACHABLE: Self = Self::internal("the client has gone, or does not read");
    pub(crate) const TOO_MANY: Self = Self::internal("too many requests wait for the client");
    pub(crate) const REFUSED: Self = Self::internal("the client has refused the request");
    pub(crate) const UNKNOWN_STATE: Self = Self {
        code: -32602,
        message: "no call waits for this input; call again without `requestState` and `inputResponses`",
    };
    pub(crate) const UNREADABLE: Self = Self { code: -32700, message: "the request cannot be read" };

    const fn method_not_found(message: &'static str) -> Self {
        Self { code: -32601, message }
    }

    const fn internal(message: &'static str) -> Self {
        Self { code: -32603, message }
    }

    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    pub(crate) fn message(&self) -> &'static str {
        self.message
    }

    /// Returns the error object of a response.
    pub(crate) fn to_json(&self) -> Value {
        json!({"code": self.code, "message": self.message})
    }
}

impl ClientProfile {
    /// Returns the profile of a client that has initialized a session with these parameters.
    pub(crate) fn legacy(initialize: Option<&Value>) -> Self {
        Self::new(ClientEra::Legacy, initialize.and_then(|params| params.get("capabilities")))
    }

    /// Returns the profile that the metadata of a request declare, if they are those of a modern request.
    pub(crate) fn modern(params: Option<&Value>) -> Option<Self> {
        let capabilities = params?.get("_meta")?.get(CLIENT_CAPABILITIES)?;
        Some(Self::new(ClientEra::Modern, Some(capabilities)))
    }

    fn new(era: ClientEra, capabilities: Option<&Value>) -> Self {
        let capabilities = capabilities.and_then(Value::as_object).cloned().unwrap_or_default();
        Self { era: Some(era), capabilities }
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.era == Some(ClientEra::Modern)
    }

    pub(crate) fn is_legacy(&self) -> bool {
        self.era == Some(ClientEra::Legacy)
    }

    /// Returns the capabilities to declare to a server of this era: those of the client, if the eras are the same, and
    /// otherwise those that both eras have. Requests of the server then reach the client in the way of its own era.
    ///
    /// The extension for tasks is left out in the legacy era: a server would return a task, and the gateway has no legacy
    /// methods to follow it.
    pub(crate) fn capabilities_for(&self, server_is_modern: bool) -> Map<String, Value> {
        let mut capabilities = self.capabilities.clone();
        if self.is_modern() != server_is_modern {
            capabilities
                .retain(|name, value| INPUT_CAPABILITIES.contains(&name.as_str()) && value.is_object());
            // No notification of a change of the roots is passed on.
            if let Some(Value::Object(roots)) = capabilities.get_mut("roots") {
                roots.clear();
            }
            return capabilities;
        }
        if !server_is_modern && let Some(Value::Object(extensions)) = capabilities.get_mut("extensions") {
            extensions.shift_remove(TASKS_EXTENSION);
        }
        capabilities
    }

    /// Whether a legacy server can request input of this client, which is modern.
    pub(crate) fn is_interruptible(&self) -> bool {
        self.is_modern() && INPUT_CAPABILITIES.iter().any(|name| self.has(name))
    }

    /// Refuses a request of a server that the client has not declared a capability for.
    pub(crate) fn check_request(&self, method: &str, params: Option<&Value>) -> Result<(), Refusal> {
        let is_url = params.is_some_and(|params| params["mode"] == "url");
        let (is_declared, refusal) = match method {
            "sampling/createMessage" => (self.has("sampling"), "the client has not declared `sampling`"),
            "roots/list" => (self.has("roots"), "the client has not declared `roots`"),
            "elicitation/create" if is_url => {
                (self.has_url_elicitation(), "the client has not declared `elicitation.url`")
            }
            "elicitation/create" => {
                (self.has_form_elicitation(), "the client has not declared `elicitation`")
            }
            _ if method.starts_with("tasks/") && self.is_legacy() => {
                (self.has("tasks"), "the client has not declared `tasks`")
            }
            _ => (false, "the client has no such method"),
        };
        if is_declared { Ok(()) } else { Err(Refusal::method_not_found(refusal)) }
    }

    fn has(&self, capability: &str) -> bool {
        self.capabilities.get(capability).is_some_and(Value::is_object)
    }

    fn has_url_elicitation(&self) -> bool {
        self.capabilities.get("elicitation").is_some_and(|modes| modes["url"].is_object())
    }

    /// Clients that name no mode have the one mode that there was first: forms.
    fn has_form_elicitation(&self) -> bool {
        let modes = self.capabilities.get("elicitation").and_then(Value::as_object);
        modes.is_some_and(|modes| modes.contains_key("form") || !modes.contains_key("url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legacy(capabilities: &Value) -> ClientProfile {
        ClientProfile::legacy(Some(&json!({"capabilities": capabilities})))
    }

    #[test]
    fn profile_refuses_requests_without_capability() {
        let url = json!({"mode": "url"});
        for (capabilities, method, params, is_allowed) in [
            (json!({"sampling": {}}), "sampling/createMessage", None, true),
            (json!({"sampling": null}), "sampling/createMessage", None, false),
            (json!({}), "sampling/createMessage", None, false),
            (json!({"roots": {"listChanged": true}}), "roots/list", None, true),
            (json!({"elicitation": {}}), "elicitation/create", None, true),
            (json!({"elicitation": {}}), "elicitation/create", Some(&url), false),
            (json!({"elicitation": {"url": {}}}), "elicitation/create", Some(&url), true),
            (json!({"elicitation": {"url": {}}}), "elicitation/create", None, false),
            (json!({"tasks": {}}), "tasks/get", None, true),
            (json!({"sampling": {}, "roots": {}, "elicitation": {}}), "vendor/x", None, false),
        ] {
            let checked = legacy(&capabilities).check_request(method, params);
            assert_eq!(checked.is_ok(), is_allowed, "{method} {capabilities}");
            assert!(checked.is_ok() || checked.unwrap_err().code == -32601);
        }
    }

    #[test]
    fn profile_declares_input_to_servers_of_both_eras() {
        let declared =
            json!({"sampling": {"tools": {}}, "roots": {"listChanged": true}, "elicitation": {"url": {}}});
        let other = json!({"sampling": {"tools": {}}, "roots": {}, "elicitation": {"url": {}}});
        let params = json!({"_meta": {CLIENT_CAPABILITIES: declared}});
        let modern = ClientProfile::modern(Some(&params)).unwrap();
        for (profile, is_modern) in [(modern.clone(), true), (legacy(&declared), false)] {
            assert_eq!(json!(profile.capabilities_for(is_modern)), declared);
            assert_eq!(json!(profile.capabilities_for(!is_modern)), other);
            assert_eq!(profile.check_request("sampling/createMessage", None), Ok(()));
            assert_eq!(profile.is_interruptible(), is_modern);
        }
        assert_ne!(modern, legacy(&declared));
        let params = json!({"_meta": {CLIENT_CAPABILITIES: {"sampling": null, "tasks": {}}}});
        let modern = ClientProfile::modern(Some(&params)).unwrap();
        assert_eq!(json!(modern.capabilities_for(false)), json!({}));
        assert!(modern.check_request("tasks/get", None).is_err() && !modern.is_interruptible());
        assert_eq!(ClientProfile::modern(Some(&json!({}))), None);
    }

    #[test]
    fn profile_declares_extensions_in_own_era_only() {
        let extensions = json!({"extensions": {TASKS_EXTENSION: {}, "vendor/x": {}}});
        let params = json!({"_meta": {CLIENT_CAPABILITIES: extensions.clone()}});
        let modern = ClientProfile::modern(Some(&params)).unwrap();
        assert_eq!(json!(modern.capabilities_for(true)), extensions);
        assert_eq!(json!(modern.capabilities_for(false)), json!({}));
        let declared = legacy(&extensions).capabilities_for(false);
        assert_eq!(json!(declared), json!({"extensions": {"vendor/x": {}}}));
        assert_eq!(json!(legacy(&extensions).capabilities_for(true)), json!({}));
    }
}
