//! The gateway on a socket that encrypts.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use valetkey_core::{ErrorKind, Result};
use valetkey_mcp::http::{Authenticator, HttpGateway, HttpGatewayBuilder, TlsIdentity};

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, HttpGatewayFixture, SessionFactoryFixture, tokens};

/// A certificate for `localhost`, its key and a client that trusts it.
struct CertificateFixture {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl CertificateFixture {
    fn generate() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { certificate: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
    }

    fn identity(&self) -> TlsIdentity {
        TlsIdentity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// Opens an encrypted connection.
    async fn connect(&self, gateway: &HttpGatewayFixture) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        TlsConnector::from(Arc::new(client)).connect(name, stream).await
    }
}

async fn gateway_with(identity: TlsIdentity) -> HttpGatewayFixture {
    HttpGatewayFixture::start_with(Vec::new(), tokens(), |gateway| gateway.tls(identity)).await
}

#[tokio::test]
async fn tls_client_is_served_and_others_are_not() {
    let certificate = CertificateFixture::generate();
    let gateway = gateway_with(certificate.identity()).await;
    let mut client = HttpClientFixture::new(gateway.address, Some(ALICE));
    let message = client.message("tools/list", json!({}));
    let origin = format!("https://localhost:{}", gateway.address.port());
    let mut request = client.request_for(&message);
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let reply = client.send_on(certificate.connect(&gateway).await.unwrap(), request).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.json()["result"]["tools"].is_array());

    let mut plain = TcpStream::connect(gateway.address).await.unwrap();
    plain.write_all(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut received = Vec::new();
    let _closed = plain.read_to_end(&mut received).await;
    assert!(!received.starts_with(b"HTTP/"), "without encryption there is no response");
    let distrusted = CertificateFixture::generate().connect(&gateway).await;
    assert!(distrusted.is_err());
    gateway.stop().await;
}

#[tokio::test]
async fn tls_identity_replaced_serves_next_connection() {
    let (old, new) = (CertificateFixture::generate(), CertificateFixture::generate());
    let identity = old.identity();
    let gateway = gateway_with(identity.clone()).await;
    old.connect(&gateway).await.unwrap();
    let refused = identity.replace(new.certificate.as_bytes(), old.key.as_bytes()).unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::Invalid, Some("private_key")));
    old.connect(&gateway).await.unwrap();
    identity.replace(new.certificate.as_bytes(), new.key.as_bytes()).unwrap();
    new.connect(&gateway).await.unwrap();
    assert!(old.connect(&gateway).await.is_err());
    gateway.stop().await;
}

#[tokio::test]
async fn tls_handshake_in_progress_delays_no_stop() {
    let gateway = gateway_with(CertificateFixture::generate().identity()).await;
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    tokio::task::yield_now().await;
    gateway.stop().await;
    drop(silent);
}

#[test]
fn tls_identity_unreadable_is_invalid_without_echo() {
    let CertificateFixture { certificate, key, .. } = CertificateFixture::generate();
    for (certificate, key, field) in [
        ("", key.as_str(), "certificate"),
        (key.as_str(), key.as_str(), "certificate"),
        (certificate.as_str(), "", "private_key"),
        (certificate.as_str(), certificate.as_str(), "private_key"),
    ] {
        let error = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)));
    }
}

/// Serves at an address that other machines reach, until it is refused or listens.
async fn serve_exposed(
    authenticator: Authenticator,
    configure: impl FnOnce(HttpGatewayBuilder) -> HttpGatewayBuilder,
) -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let gateway = HttpGateway::builder(SessionFactoryFixture::without_servers(), authenticator);
    configure(gateway).build().serve(listener, stop).await
}

#[tokio::test]
async fn listener_for_other_machines_needs_tls_and_tokens() {
    let tls = || CertificateFixture::generate().identity();
    let url = "https://mcp.example.com/mcp";
    let anonymous = || Authenticator::none("local".parse().unwrap());
    serve_exposed(tokens(), |gateway| gateway.tls(tls()).public_url(url).unwrap()).await.unwrap();
    for (refused, step) in [
        (serve_exposed(anonymous(), |gateway| gateway).await, "proxy"),
        (serve_exposed(anonymous(), |gateway| gateway.tls(tls())).await, "proxy"),
        (serve_exposed(tokens(), |gateway| gateway.public_url(url).unwrap()).await, "proxy"),
        (serve_exposed(tokens(), |gateway| gateway.tls(tls())).await, "public_url"),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.next_step().unwrap().contains(step), "{error}");
    }
}
