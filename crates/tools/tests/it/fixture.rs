//! `ToolsFixture`: a session with its tools, and helpers to call them.

use std::sync::LazyLock;

use serde_json::{Value, json};
use valetkey_core::testing::{Canary, CapturedLogs};
use valetkey_core::{Credentials, Expiry, MapResolver, SessionContext};
use valetkey_tools::{ToolOutput, ToolSet};

pub(crate) const SET_CREDENTIALS: &str = "set_aws_credentials_context";
pub(crate) const GET_CREDENTIALS: &str = "get_aws_credentials_context";
pub(crate) const SET_FROM_STACK_JOB: &str = "extract_and_set_credentials_from_stack_job";
pub(crate) const SET_SERVICE: &str = "set_service_context_info";
pub(crate) const GET_SERVICE: &str = "get_service_context_info";
pub(crate) const CLEAR_CREDENTIALS: &str = "clear_credential_context";
pub(crate) const LIST_ACCOUNTS: &str = "list_aws_accounts";
pub(crate) const REFRESH_CREDENTIALS: &str = "refresh_aws_credentials";
pub(crate) const NARROW_CREDENTIALS: &str = "narrow_aws_credentials";
pub(crate) const REQUEST_ACCESS: &str = "request_aws_access";
pub(crate) const CLOSE_SESSION: &str = "close_credential_session";
pub(crate) const CREDENTIAL_ID: &str = "aws-prod-123";

pub(crate) struct ToolsFixture {
    pub(crate) session: SessionContext,
    pub(crate) tools: ToolSet,
    pub(crate) canary: Canary,
}

impl ToolsFixture {
    /// Creates a session without credentials, whose resolver returns a canary for [`CREDENTIAL_ID_PATH`].
    pub(crate) fn new() -> Self {
        let canary = Canary::new();
        let credentials = canary.credentials(Expiry::Never).unwrap();
        let resolver = MapResolver::new().with(CREDENTIAL_ID.parse().unwrap(), credentials);
        let session = SessionContext::builder().resolver(resolver).build();
        Self { tools: ToolSet::for_session(session.clone()), session, canary }
    }

    /// Creates the fixture with the canary and a service context set.
    pub(crate) async fn with_credentials() -> Self {
        let fixture = Self::new();
        assert!(
            !fixture
                .call(SET_CREDENTIALS, json!({"credentials_json": fixture.canary.to_json()}))
                .await
                .is_error
        );
        assert!(!fixture.call(SET_SERVICE, json!({"service_id": "svc-before"})).await.is_error);
        fixture
    }

    pub(crate) async fn call(&self, name: &str, input: Value) -> ToolOutput {
        self.tools.call(name, input).await.unwrap_or_else(|| panic!("no tool {name}"))
    }

    pub(crate) async fn credentials(&self) -> Credentials {
        self.session.credentials().await.unwrap()
    }
}

/// Returns the structured error of a failed call.
pub(crate) fn error_json(output: &ToolOutput) -> &Value {
    assert!(output.is_error, "{}", output.text);
    assert!(output.text.starts_with("Error: ") || output.text.starts_with("{\"error\":"), "{}", output.text);
    &output.structured.as_ref().unwrap()["error"]
}

pub(crate) fn credentials_json(region: &str) -> Value {
    json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "not-so-secret", "region": region})
}

/// Returns the log at TRACE of all tests in this binary. The subscriber is global, because a scoped one misses call
/// sites that another thread reaches first.
pub(crate) fn captured_logs() -> &'static CapturedLogs {
    static LOGS: LazyLock<CapturedLogs> = LazyLock::new(|| {
        let logs = CapturedLogs::default();
        tracing::subscriber::set_global_default(logs.subscriber()).unwrap();
        logs
    });
    &LOGS
}
