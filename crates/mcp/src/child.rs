//! Runs a program as a child of a session: with an allow-listed environment, the credentials of one session, and a
//! lifetime that ends with its owner.
//!
//! # Examples
//! A program that reads its credentials from an endpoint:
//! ```no_run
//! use valetkey_core::SessionContext;
//! use valetkey_mcp::CredentialEndpoint;
//! use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, SessionDir, Stdio};
//! use valetkey_mcp::endpoint::AdvertisedExpiry;
//!
//! # async fn example(session: &SessionContext) -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = CredentialEndpoint::start().await?;
//! let account = session.account(session.default_account())?;
//! let grant = endpoint.grant(account, "report", AdvertisedExpiry::default());
//! let directory = SessionDir::create(None)?;
//! let environment = ChildEnvironment::new(&HostEnvironment::from_process(), [])
//!     .isolate(&directory)
//!     .with_home(&directory)
//!     .with_endpoint(&grant);
//! let status = ChildProcess::spawn(ChildCommand::new("report"), environment, Stdio::Inherited)?.wait().await?;
//! # Ok(())
//! # }
//! ```

mod descendants;
mod environment;
mod guardian;
mod launch;
mod process;
mod process_tree;
mod program;
mod session_dir;
mod stderr;

use serde::{Deserialize, Serialize};

pub use descendants::is_descendant;
pub(crate) use environment::selects_endpoint;
pub use environment::{ChildEnvironment, GATEWAY_MARKER, HostEnvironment, overrides_credentials};
pub use launch::{Launcher, close_descriptors_on_exec, run_launcher};
pub use process::{ChildCommand, ChildProcess, Stdio};
pub use process_tree::ProcessTree;
pub use session_dir::SessionDir;
pub use stderr::StderrTail;

/// Which folder is a child's `HOME`. The AWS files are the session's in both cases.
///
/// # Examples
/// A configuration names it in lowercase:
/// ```
/// use valetkey_mcp::child::HomeFolder;
///
/// assert_eq!(HomeFolder::default(), HomeFolder::Session);
/// assert_eq!(serde_json::from_str::<HomeFolder>(r#""user""#)?, HomeFolder::User);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HomeFolder {
    /// A folder of the session, so that servers of different sessions share no state through it. It is empty at
    /// first, except for links to configuration files. Package runners find the user's configuration through their
    /// own variables; the links are for tools that have no such variable.
    #[default]
    Session,
    /// The user's folder, for programs that find their configuration only there.
    User,
}

/// How a server gets its session's credentials.
///
/// | variant | servers | a change of credentials |
/// |---|---|---|
/// | `Endpoint` | processes with any AWS SDK | applies to the next fetch; another account replaces the process |
/// | `Env` | processes that read keys from their environment | replaces the process |
/// | `Proxy` | processes with an AWS SDK that reads `AWS_ENDPOINT_URL` | applies to the next request |
/// | `SigV4` | remote servers of AWS | applies to the next request; another account begins a new connection |
/// | `None` | all others | none |
///
/// # Examples
/// A configuration names it in lowercase:
/// ```
/// use valetkey_mcp::child::Delivery;
///
/// assert_eq!(Delivery::default(), Delivery::Endpoint);
/// assert_eq!(serde_json::from_str::<Delivery>(r#""env""#)?, Delivery::Env);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Delivery {
    /// The child reads them from its own loopback endpoint. Rotation, expiry and revocation reach it while it runs,
    /// and its environment contains no key.
    #[default]
    Endpoint,
    /// The credentials are in the child's environment, and the child is replaced when they rotate. For programs that
    /// support no other source.
    Env,
    /// The child gets placeholders that AWS does not accept, and sends its requests through a
    /// [`SigningProxy`](valetkey_signing::SigningProxy), which signs them with the current credentials. The child never
    /// has a working key, and rotation, a change of account and revocation apply to its next request. For programs whose
    /// AWS SDK reads `AWS_ENDPOINT_URL`.
    Proxy,
    /// The requests to a remote server are signed with the session's current credentials, which apply to the next request.
    /// For MCP servers that AWS hosts. A child has no such requests.
    SigV4,
    /// The server gets no credentials.
    None,
}
