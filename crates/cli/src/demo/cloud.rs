//! The stage of the demo: a small AWS (STS and Secrets Manager) on a loopback port, which checks what it serves.

mod answer;
mod identity;
mod ledger;
mod plan;
mod policy;
mod request;
mod role;
mod secrets;
mod signature;
mod sts;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::answer::{Answer, Fault, Refusal};
use self::identity::KeyRing;
use self::ledger::Ledger;
pub(crate) use self::ledger::{CallRecord, Outcome};
pub(crate) use self::plan::{CloudPlan, RolePlan, SecretPlan, UserPlan};
use self::request::{Asked, Input, Service};
use self::role::Role;
use self::secrets::Vault;

const BODY_LIMIT: usize = 64 * 1024;
const BODY_PATIENCE: Duration = Duration::from_secs(3);
// Longer than any one request can take.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A running local cloud. Dropping it asks the server to end; `stop` also waits for that.
pub(crate) struct LocalCloud {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl LocalCloud {
    /// Starts what was planned on a free loopback port; an impossible plan is `InvalidInput`.
    pub(crate) async fn start(plan: CloudPlan) -> io::Result<Self> {
        let cloud = Arc::new(Cloud::build(plan)?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&cloud));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            // A dropped handle is a stop as well.
            let _ = stopped.await;
        });
        let server = tokio::spawn(async move { serving.await });
        Ok(Self { address, cloud, stop, server })
    }

    /// What `AWS_ENDPOINT_URL` has to say.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request seen so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        lock(&self.cloud.ledger).calls()
    }

    /// The ARN of a planned secret.
    pub(crate) fn secret_arn(&self, account: &str, name: &str) -> Option<String> {
        lock(&self.cloud.vault).arn_of(account, name)
    }

    /// Makes `value` the current version of the secret with this name or ARN and answers the id of that version;
    /// nothing when there is no such secret, or more than one account has one of that name.
    pub(crate) fn rotate_secret(&self, name_or_arn: &str, value: &str) -> Option<String> {
        lock(&self.cloud.vault).rotate(name_or_arn, value)
    }

    /// Lets all temporary keys issued so far age: the shortest life is 15 minutes, which no demo wants to wait for.
    pub(crate) fn age_keys(&self, by: Duration) {
        lock(&self.cloud.keys).age(by);
    }

    /// Ends the server and waits until it is gone; it is an error if a request had to be cut off.
    pub(crate) async fn stop(self) -> io::Result<()> {
        let Self { stop, mut server, .. } = self;
        drop(stop);
        match timeout(STOP_PATIENCE, &mut server).await {
            Ok(joined) => joined.map_err(io::Error::other)?,
            Err(_) => {
                server.abort();
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the local cloud was cut off with a request in flight",
                ))
            }
        }
    }
}

impl std::fmt::Debug for LocalCloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCloud").field("address", &self.address).finish_non_exhaustive()
    }
}

struct Cloud {
    roles: Vec<Role>,
    keys: Mutex<KeyRing>,
    vault: Mutex<Vault>,
    ledger: Mutex<Ledger>,
}

impl Cloud {
    fn build(plan: CloudPlan) -> io::Result<Self> {
        let CloudPlan { users, roles, secrets } = plan;
        Ok(Self {
            roles: roles.into_iter().map(Role::try_from).collect::<io::Result<_>>()?,
            keys: Mutex::new(KeyRing::of_users(users)?),
            vault: Mutex::new(Vault::of_secrets(secrets)?),
            ledger: Mutex::default(),
        })
    }

    async fn serve(&self, parts: &Parts, body: &[u8], call: &mut CallRecord) -> Result<Answer, Refusal> {
        let asked = Asked::read(parts, body).await;
        if let Ok(asked) = &asked {
            call.asks(asked);
        }
        let caller = lock(&self.keys).authenticate(parts, body)?;
        call.caller = Some(caller.arn.clone());
        let asked = asked?;
        match &asked.input {
            Input::Query(form) => sts::answer(self, &caller, &asked.action, form),
            Input::Json(input) => lock(&self.vault).answer(&caller, &asked.action, input),
        }
    }
}

async fn answer(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let service = Service::of(&parts.headers);
    let mut call = CallRecord::of(service, &parts.headers);
    let outcome = match timeout(BODY_PATIENCE, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(body)) => cloud.serve(&parts, &body, &mut call).await,
        _ => Err(Refusal::new(Fault::TooLarge, "The request body is too large, too slow or was cut off.")),
    };
    if let Err(refusal) = &outcome {
        call.outcome = Outcome::Refused(refusal.fault.code(service));
    }
    lock(&cloud.ledger).push(call);
    answer::render(service, outcome)
}

/// A poisoned lock still guards whole values: each holder changes them in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::disallowed_methods, reason = "a cloud goes by its own clock, not by that of its callers")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn impossible(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}
