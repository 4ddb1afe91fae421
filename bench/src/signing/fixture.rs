//! `ProxyFixture`: an upstream, both proxies in front of it, and a caller for each way.

use aws_credential_types::Credentials;
use valetkey_core::{Expiry, SessionContext};
use valetkey_signing::{Placeholder, ProxySettings, Rules, SigningProxy};

use super::bare_proxy::start_bare_proxy;
use super::caller::SigningCaller;
use super::upstream::start_upstream;
use crate::Result;
use crate::competitors::valetkey::payload_credentials;
use crate::payload::Payload;

pub(crate) const DIRECT: &str = "no proxy";
pub(crate) const BARE: &str = "a bare hyper reverse proxy";
pub(crate) const VALETKEY: &str = "valetkey's signing proxy";

/// The ways to the upstream, in the order of [`ProxyFixture::callers`].
pub(crate) const WAYS: [&str; 3] = [DIRECT, BARE, VALETKEY];

pub(crate) struct ProxyFixture {
    pub(crate) callers: [SigningCaller; 3],
    pub(crate) session: SessionContext,
    _placeholder: Placeholder,
    _proxy: SigningProxy,
}

impl ProxyFixture {
    pub(crate) async fn start() -> Result<Self> {
        let upstream = start_upstream().await?;
        let bare = start_bare_proxy(upstream).await?;
        let session = SessionContext::builder().build();
        session.set_credentials(payload_credentials(&Payload::with_number(1), Expiry::Never)?)?;
        let settings =
            ProxySettings::default().clock(session.clock()).endpoint(&format!("http://{upstream}"))?;
        let proxy = SigningProxy::start_with(settings).await?;
        let account = session.account(session.default_account())?;
        let placeholder = proxy.placeholder(account, "bench", Rules::default());
        let url = placeholder.url();
        let address = url.strip_prefix("http://").ok_or("the proxy's URL is not http")?.parse()?;
        let callers =
            [upstream, bare, address].map(|address| SigningCaller::new(address, key_of(&placeholder)));
        Ok(Self { callers, session, _placeholder: placeholder, _proxy: proxy })
    }
}

/// All ways get equal requests; only the signing proxy verifies them.
fn key_of(placeholder: &Placeholder) -> Credentials {
    Credentials::new(
        placeholder.access_key_id(),
        placeholder.expose_secret_access_key(),
        Some(placeholder.expose_session_token().to_owned()),
        None,
        "bench",
    )
}
