//! `reqsign`: its cache is part of the signer. With a request signer that does nothing, a fetch consists of the cache,
//! the copy of the credentials, and the copy of the request head that each signing makes.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use http::request::Parts;
use reqsign::aws::Credential;
use reqsign::time::Timestamp;
use reqsign::{Context, Error, ProvideCredential, SignRequest, Signer};

use crate::Result;
use crate::fake_source::Upstream;
use crate::subject::{Peer, Subject};

pub(crate) struct ReqsignPeer {
    signer: Signer<Credential>,
    head: Parts,
}

impl Subject for ReqsignPeer {
    type Fetched = ();
    type FetchError = Error;

    async fn fetch(&self) -> std::result::Result<(), Error> {
        let mut head = self.head.clone();
        self.signer.sign(&mut head, None).await
    }
}

impl Peer for ReqsignPeer {
    const NAME: &'static str = "reqsign signer";
    // It treats credentials with less than 120 s left as stale.
    const STALE_LIFETIME: Option<Duration> = Some(Duration::from_secs(60));

    async fn setup(upstream: Upstream) -> Result<Self> {
        let (head, ()) = http::Request::get("https://bucket.s3.amazonaws.com/key").body(())?.into_parts();
        Ok(Self { signer: Signer::new(Context::new(), UpstreamProvider(upstream), NoopSigner), head })
    }
}

struct UpstreamProvider(Upstream);

impl fmt::Debug for UpstreamProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamProvider")
    }
}

impl ProvideCredential for UpstreamProvider {
    type Credential = Credential;

    async fn provide_credential(&self, _context: &Context) -> reqsign::Result<Option<Credential>> {
        let answer = self.0.call().await.map_err(|refused| Error::unexpected(refused.to_string()))?;
        Ok(Some(Credential {
            access_key_id: answer.payload.key_id,
            secret_access_key: answer.payload.secret,
            session_token: Some(answer.payload.token),
            expires_in: Some(Timestamp::now() + answer.lifetime),
        }))
    }
}

#[derive(Debug)]
struct NoopSigner;

impl SignRequest for NoopSigner {
    type Credential = Credential;

    fn sign_request<'a>(
        &'a self,
        _context: &'a Context,
        _head: &'a mut Parts,
        _credential: Option<&'a Credential>,
        _expires_in: Option<Duration>,
    ) -> impl Future<Output = reqsign::Result<()>> + Send + 'a {
        std::future::ready(Ok(()))
    }
}
