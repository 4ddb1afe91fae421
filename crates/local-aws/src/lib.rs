//! An in-process STS and Secrets Manager on a loopback port, for demonstrations, examples and tests.
//!
//! [`LocalAws`] serves the requests that AWS SDKs send to STS (`GetCallerIdentity`, `AssumeRole`) and to Secrets
//! Manager (`GetSecretValue`, `DescribeSecret`). It checks what AWS checks: Signature Version 4, session tokens,
//! expiry, trust and external ids, session policies, source identities, session tags and the length of role sessions.
//! It records each request without its secrets.
//!
//! It is not an emulator of AWS: it has no identity policies, regions, quotas or other services, and it refuses what it
//! cannot evaluate (conditions in session policies, managed policies).
//!
//! # Examples
//!
//! ```
//! use valetkey_local_aws::{LocalAws, RoleSpec, SecretSpec, UserSpec};
//!
//! # async fn example() -> std::io::Result<()> {
//! let aws = LocalAws::builder()
//!     .user(UserSpec::new("999999999999", "platform", "AKIAIOSFODNN7EXAMPLE", "a secret of this run"))
//!     .role(RoleSpec::new("arn:aws:iam::111111111111:role/agent").trusts("999999999999").external_id("e-1"))
//!     .secret(SecretSpec::new("111111111111", "app/db", "a value"))
//!     .start()
//!     .await?;
//! // Point any AWS SDK at it: AWS_ENDPOINT_URL, or `endpoint_url` on the client configuration.
//! assert!(aws.endpoint_url().starts_with("http://127.0.0.1:"));
//! aws.stop().await
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod key_store;
mod request;
mod request_log;
mod response;
mod role;
mod secret_store;
mod server;
mod services;
mod session_policy;
mod signature;
mod spec;
mod sts;

pub use request_log::{RequestOutcome, RequestRecord};
pub use server::LocalAws;
pub use spec::{LocalAwsBuilder, RoleSpec, SecretSpec, UserSpec};
