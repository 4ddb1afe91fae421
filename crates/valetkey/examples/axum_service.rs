//! A web service with a session per request: `cargo run -p valetkey --example axum_service --all-features`.
//!
//! An extractor opens the session for the caller of the request, and passes it to the handler as an argument. The last
//! handle ends with the handler, and the session with it: also when the client disconnects or the handler panics.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::{Router, routing::get};
use tower::ServiceExt;
use valetkey::backends::{AssumeRoleProvider, AwsClientConfig, MemoryProvider, SdkConfigExt};
use valetkey::{Attribution, Credentials, Principal, Region, SecretString, SessionContext};
use valetkey_local_aws::{LocalAws, RoleSpec, UserSpec};

const KEY: &str = "AKIADEMOPLATFORM0001";
const SECRET: &str = "demo-secret-of-the-platform";
/// The role of each caller, which only the service's own identity may assume.
const ROLES: [(&str, &str); 2] =
    [("alice", "arn:aws:iam::111111111111:role/agent"), ("bob", "arn:aws:iam::222222222222:role/agent")];

/// What all requests share: one AWS client configuration, and the source that signs `AssumeRole`. No session.
struct Service {
    client_config: AwsClientConfig,
    platform: MemoryProvider,
}

/// The session of the request.
struct CallerSession(SessionContext);

impl FromRequestParts<Arc<Service>> for CallerSession {
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Self::Rejection> {
        // For the sake of brevity. A service takes the caller from a verified token.
        let caller = parts.headers.get("x-caller").and_then(|name| name.to_str().ok()).unwrap_or_default();
        let role = ROLES.iter().find(|(name, _)| *name == caller).map(|(_, role)| *role);
        let role = role.ok_or((StatusCode::UNAUTHORIZED, "unknown caller".to_owned()))?;
        let session = service.open_session(caller, role);
        session.map(Self).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }
}

impl Service {
    fn open_session(&self, caller: &str, role: &str) -> valetkey::Result<SessionContext> {
        let principal: Principal = caller.parse()?;
        let session = SessionContext::builder().principal(principal.clone());
        let attribution = Attribution::new().session(session.id()).principal(principal);
        let role = AssumeRoleProvider::builder(role.parse()?, self.platform.clone())
            .client_config(&self.client_config)
            .attribution(&attribution) // leads from CloudTrail to the request and its caller
            .source_identity(caller)
            .without_attribution_tags() // with tags, the role must trust the service for sts:TagSession
            .build()?;
        Ok(session.provider(role).build())
    }
}

/// An agent would run here. It gets clones of the session, and no function finds the session of another request.
async fn whoami(
    State(service): State<Arc<Service>>,
    CallerSession(session): CallerSession,
) -> Result<String, (StatusCode, String)> {
    let unavailable = |error: &dyn Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let config = session.sdk_config_from(service.client_config.config()).await;
    let sts = aws_sdk_sts::Client::new(&config.map_err(|error| unavailable(&error))?);
    let identity = sts.get_caller_identity().send().await.map_err(|error| unavailable(&error))?;
    Ok(format!("AWS account {}", identity.account().unwrap_or_default()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut spec = LocalAws::builder().user(UserSpec::new("999999999999", "platform", KEY, SECRET));
    for (_, role) in ROLES {
        spec = spec.role(RoleSpec::new(role).trusts("999999999999"));
    }
    let aws = spec.start().await?;
    let platform = Credentials::builder(KEY.parse()?, SecretString::from(SECRET)).build()?;
    let service = Service {
        client_config: AwsClientConfig::new().region(&Region::us_east_1()).endpoint_url(aws.endpoint_url()),
        platform: MemoryProvider::from(platform),
    };
    let router = Router::new().route("/whoami", get(whoami)).with_state(Arc::new(service));

    // In place of `axum::serve(listener, router)`: three requests at once.
    let (alice, bob, eve) =
        tokio::try_join!(request(&router, "alice"), request(&router, "bob"), request(&router, "eve"))?;
    for (caller, response) in [("alice", alice), ("bob", bob), ("eve", eve)] {
        println!("{caller}: {response}");
    }
    aws.stop().await?;
    Ok(())
}

async fn request(router: &Router, caller: &str) -> Result<String, Box<dyn Error>> {
    let request = Request::get("/whoami").header("x-caller", caller).body(Body::empty())?;
    let response = router.clone().oneshot(request).await?;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1024).await?;
    Ok(format!("{status}, {}", String::from_utf8_lossy(&body)))
}
