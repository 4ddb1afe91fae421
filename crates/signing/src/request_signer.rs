//! `RequestSigner`: signs the requests that this process itself sends.

use std::fmt;
use std::sync::Arc;

use aws_sigv4::http_request::SignableBody;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use valetkey_core::audit::AuditEvent;
use valetkey_core::{Clock, Credentials, Result, SessionAccount, SystemClock};

use crate::refusal::Refusal;
use crate::signature::{
    CONTENT_HASH_HEADER, DATE_HEADER, Scope, TOKEN_HEADER, sign, signable, signature_headers,
};

/// Signs requests to one service in one region, with the credentials that a session has at each request.
///
/// So a rotation, a change of account and a clear apply to the next request. Each signature is recorded in the audit log
/// of the session as `serve`, or as `deny` without credentials.
///
/// # Examples
/// ```
/// use http::Request;
/// use valetkey_core::{Credentials, SessionContext};
/// use valetkey_signing::RequestSigner;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = SessionContext::builder().build();
/// let account = session.account(session.default_account())?;
/// session.set_credentials(Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()).build()?)?;
///
/// let signer = RequestSigner::new(account, "tools", "bedrock-agentcore", "eu-west-1");
/// let url = "https://bedrock-agentcore.eu-west-1.amazonaws.com/runtimes/agent/invocations";
/// let (mut parts, body) = Request::post(url).body(b"{}")?.into_parts();
/// signer.sign(&mut parts, body).await?;
/// assert!(parts.headers["authorization"].to_str()?.contains("/eu-west-1/bedrock-agentcore/aws4_request"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RequestSigner {
    account: SessionAccount,
    holder: String,
    signing_name: String,
    region: String,
    clock: Arc<dyn Clock>,
}

impl RequestSigner {
    /// Creates a signer with the credentials of `account`. `holder` names the receiver of the requests in the audit
    /// records; `signing_name` and `region` are those of the credential scope.
    #[must_use]
    pub fn new(
        account: SessionAccount,
        holder: impl Into<String>,
        signing_name: impl Into<String>,
        region: impl Into<String>,
    ) -> Self {
        Self {
            account,
            holder: holder.into(),
            signing_name: signing_name.into(),
            region: region.into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the clock that dates the signatures (default: the clock of the machine).
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Signs a request with this body, and adds the headers of the signature. Its URI must be absolute.
    ///
    /// The signature covers method, URI, body, host, `Content-Type` and the headers that begin with `x-amz-` or `mcp-`. An
    /// earlier signature is replaced.
    ///
    /// # Errors
    /// The error of the account if it has no credentials; `Invalid` if the request cannot be signed, for example because
    /// of a header that is not text.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the request unsigned.
    pub async fn sign(&self, parts: &mut Parts, body: &[u8]) -> Result<()> {
        let credentials = self.account.credentials().await.inspect_err(|error| {
            self.account.audit(AuditEvent::Deny, &self.holder, Some(error));
        })?;
        let headers = self.signature(parts, body, &credentials).map_err(|refusal| refusal.to_error())?;
        // An earlier signature may have had a token that this one lacks.
        parts.headers.remove(TOKEN_HEADER);
        parts.headers.extend(headers);
        self.account.audit(AuditEvent::Serve, &self.holder, None);
        Ok(())
    }

    fn signature(
        &self,
        parts: &Parts,
        body: &[u8],
        credentials: &Credentials,
    ) -> std::result::Result<HeaderMap, Refusal> {
        let body = SignableBody::Bytes(body);
        let request = signable(&parts.method, &parts.uri, &parts.headers, is_signed, body)?;
        let scope = Scope { region: &self.region, signing_name: &self.signing_name, time: self.clock.now() };
        let (instructions, _) = sign(request, &credentials.expose_to_sdk(), scope, true)?;
        signature_headers(&instructions)
    }
}

/// The headers of an earlier signature are written anew.
fn is_signed(name: &HeaderName) -> bool {
    let text = name.as_str();
    let is_own = matches!(text, DATE_HEADER | TOKEN_HEADER | CONTENT_HASH_HEADER);
    !is_own && (name == CONTENT_TYPE || text.starts_with("x-amz-") || text.starts_with("mcp-"))
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSigner")
            .field("holder", &self.holder)
            .field("signing_name", &self.signing_name)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use valetkey_core::SessionContext;

    use super::*;

    #[tokio::test]
    async fn request_signed_again_has_no_token_of_earlier_signature() {
        let session = SessionContext::builder().build();
        let account = session.account(session.default_account()).unwrap();
        let signer = RequestSigner::new(account, "tools", "execute-api", "eu-west-1");
        let url = "https://api.execute-api.eu-west-1.amazonaws.com/";
        let (mut parts, ()) = Request::get(url).body(()).unwrap().into_parts();
        for token in [Some("token"), None] {
            let key = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse().unwrap(), "secret".into());
            session.set_credentials(key.session_token(token.map(Into::into)).build().unwrap()).unwrap();
            signer.sign(&mut parts, b"").await.unwrap();
            let sent = parts.headers.get(TOKEN_HEADER).map(|token| token.to_str().unwrap());
            assert_eq!(sent, token);
            assert_eq!(parts.headers.get_all("authorization").iter().count(), 1);
        }
    }
}
