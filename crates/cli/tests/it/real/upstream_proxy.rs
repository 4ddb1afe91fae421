//! A network in which AWS is reached only through an HTTP proxy, by hosts whose certificates a private authority signs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use valetkey_rig::Moto;

use super::{program_path, unknown_key};
use crate::program_fixture::{ProgramFixture, ProgramOutput};

const HOSTS: [&str; 2] = ["*.amazonaws.com", "*.us-east-1.amazonaws.com"];

/// A proxy that requires a password, and that takes the place of every host: it forwards the requests to a service.
struct ProxyFixture {
    address: SocketAddr,
    /// The certificate of the hosts, in PEM.
    certificate: String,
    /// The heads of the requests that it received.
    received: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ProxyFixture {
    async fn start(service: &str) -> Self {
        let service: SocketAddr = service.strip_prefix("http://").unwrap().parse().unwrap();
        let pair = rcgen::generate_simple_self_signed(HOSTS.map(str::to_owned)).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let recorded = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(stream, acceptor.clone(), service, Arc::clone(&recorded)));
            }
        });
        Self { address, certificate: pair.cert.pem(), received, task }
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for ProxyFixture {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    service: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    received.lock().unwrap().push(String::from_utf8(head).unwrap());
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    // A client that does not trust the certificate leaves here.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut service = TcpStream::connect(service).await.unwrap();
    let _either_side_left = copy_bidirectional(&mut stream, &mut service).await;
}

/// Runs `aws sts get-caller-identity` with delivery `proxy`, where AWS is behind `proxy`.
async fn call_caller_identity(proxy: &ProxyFixture, variables: &[(&str, &str)]) -> ProgramOutput {
    let (aws, key) = (program_path("aws"), unknown_key());
    let mut fixture = ProgramFixture::new()
        .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
        .env("AWS_REGION", "us-east-1")
        .env("HTTPS_PROXY", format!("http://agent:pass%20word@{}", proxy.address));
    for (name, value) in variables {
        fixture = fixture.env(name, value);
    }
    fixture.run(&["exec", "--delivery", "proxy", "--", &aws, "sts", "get-caller-identity"]).await
}

#[tokio::test]
async fn exec_proxy_delivery_reaches_aws_through_https_proxy() {
    let moto = Moto::start().await.unwrap();
    let proxy = ProxyFixture::start(&moto.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates.pem");
    std::fs::write(&certificates, &proxy.certificate).unwrap();
    let trusted = [("SSL_CERT_FILE", certificates.to_str().unwrap())];
    let output = call_caller_identity(&proxy, &trusted).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains("arn:aws:sts::123456789012:user/moto"), "{output:?}");
    let received = proxy.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].starts_with("CONNECT sts.us-east-1.amazonaws.com:443 HTTP/1.1\r\n"), "{received:?}");
    // agent:pass word
    assert!(received[0].contains("Basic YWdlbnQ6cGFzcyB3b3Jk\r\n"), "{received:?}");
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn exec_proxy_delivery_untrusted_host_gets_nothing() {
    let moto = Moto::start().await.unwrap();
    let proxy = ProxyFixture::start(&moto.url()).await;
    let output = call_caller_identity(&proxy, &[("AWS_MAX_ATTEMPTS", "1")]).await;
    assert_eq!(output.code, Some(255), "{output:?}");
    assert!(output.stderr.contains("the service cannot be reached"), "{output:?}");
    // The CLI tries several times.
    assert!(!proxy.received().is_empty());
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn exec_malformed_https_proxy_is_refused() {
    let moto = Moto::start().await.unwrap();
    let proxy = ProxyFixture::start(&moto.url()).await;
    let output = call_caller_identity(&proxy, &[("HTTPS_PROXY", "socks5://agent:hidden@127.0.0.1:1")]).await;
    assert_ne!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("HTTPS_PROXY"), "{output:?}");
    assert!(!output.stderr.contains("hidden"), "{output:?}");
    assert!(proxy.received().is_empty());
    moto.stop().await.unwrap();
}
