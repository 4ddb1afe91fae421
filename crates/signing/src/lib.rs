//! Signs the AWS requests of programs that hold no working key.
//!
//! A program gets placeholders that AWS does not accept, and the address of a proxy on the loopback interface, in the
//! variables that every AWS SDK reads. The proxy verifies each request with the placeholder's secret, decides on it, and
//! signs it again with the current credentials of a session. So a clear, a change of account and the end of a session apply
//! to the next request of a program that is already running, and what the program holds is of no use elsewhere.
//!
//! - [`SigningProxy`] is the listener, [`Placeholder`] the identity of one program.
//! - [`RequestSigner`] signs the requests that this process itself sends, [`PresignRequest`] URLs for objects of S3.
//! - [`Rules`] decide which operations and regions the requests of a placeholder may use.
//! - [`routes`] finds the host of a service in a region.
//!
//! # What a request passes
//! 1. The limits of the listener: the literal address as `Host`, no forwarded request, no ambiguous length, at most 512
//!    requests at once and 64 of one placeholder.
//! 2. The placeholder: access key id and session token, compared in constant time.
//! 3. The signature, over method, path, query, signed headers and body. Its date is at most five minutes off, and it was
//!    not used before. botocore signs no id of a request: for two seconds, its signature may be used by requests whose
//!    unsigned ids differ. For as long, a request without an id that only reads may be repeated; and any request that the
//!    service has not carried out.
//! 4. The route: service and region select an entry of the table, whose host is used.
//! 5. The rules of the placeholder.
//! 6. The credentials of the session at this moment, with which the request is signed. A clear ends it while it is sent and
//!    while its response is streamed.
//!
//! # How an operation is found
//! | protocol | operation |
//! |---|---|
//! | JSON | the header `X-Amz-Target` |
//! | query, EC2 | the field `Action`, in the query or in the form |
//! | CBOR | the path, `/service/<name>/operation/<operation>` |
//! | REST | method, path, query and header select a template of the [table](routes::Routes::rest_operations) |
//!
//! A request that names two operations is refused. A REST request may match several templates that are equally specific; it
//! must then be permitted as each of these operations. One that matches none, or has an escape that no SDK writes, has an
//! operation that is not known, and is refused where a rule depends on the operation.
//!
//! # How a body is forwarded
//! | `X-Amz-Content-Sha256` | body |
//! |---|---|
//! | none, or a form | buffered, at most 32 MiB, and sent with its hash |
//! | a hash, up to 64 KiB | buffered, and sent only if it has the hash |
//! | a hash, longer | streamed, and sent with the hash |
//! | `UNSIGNED-PAYLOAD`, `STREAMING-UNSIGNED-PAYLOAD-TRAILER` | streamed |
//! | `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, also with `-TRAILER` | streamed; each chunk is verified and signed again |
//!
//! A chunk of at most 1 MiB is in memory until it is verified. If one differs from its signature, the connection to the
//! service is closed. The hash of a body of more than 64 KiB is part of both signatures, so the service compares the body
//! with it, as S3 does (error `XAmzContentSHA256Mismatch`); the proxy does not compute it again.
//!
//! A refusal has the form of the service's protocol, and begins with `valetkey:`. SDKs repeat it only if it is transient.
//!
//! # Examples
//! ```
//! use valetkey_core::SessionContext;
//! use valetkey_signing::{ProxySettings, Rules, SigningProxy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = SessionContext::builder().build();
//! let proxy = SigningProxy::start_with(ProxySettings::default().clock(session.clock())).await?;
//! let rules = Rules::default().allow("dynamodb:*")?.deny("dynamodb:Delete*")?;
//! let placeholder = proxy.placeholder(session.account(session.default_account())?, "report", rules);
//! let variables = placeholder.environment();
//! assert!(variables.contains(&("AWS_ENDPOINT_URL".to_owned(), placeholder.url())));
//! # Ok(())
//! # }
//! ```
//!
//! # What is not supported
//! Signature Version 4A, presigned requests, signed chunks of more than 1 MiB, and operations whose host has a prefix of its own
//! ([`ServiceRoute::has_host_prefix`](routes::ServiceRoute::has_host_prefix)), which no SDK sends to the address of a
//! proxy.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection_check;
mod operation;
mod payload;
mod placeholder;
mod presign;
mod proxy;
mod refusal;
mod request_signer;
pub mod routes;
mod rules;
mod signature;
mod verification;

pub use connection_check::ConnectionCheck;
pub use placeholder::Placeholder;
pub use presign::{PresignRequest, PresignedUrl, S3Object};
pub use proxy::{ProxySettings, SigningProxy};
pub use request_signer::RequestSigner;
pub use rules::Rules;

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
