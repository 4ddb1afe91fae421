//! A server with TLS and a certificate of its own authority.

use std::fs;
use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use valetkey_core::SecretString;
use valetkey_rig::Redis;
use valetkey_store::{StoreError, testing};

use super::builder;

/// A server whose certificate descends from an authority, and the certificate of that authority.
async fn start_tls() -> (Redis, u16, String, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (certificate, key) = (file("cert.pem", certificate.pem()), file("key.pem", key.serialize_pem()));
    let root = file("root.pem", authority.pem());
    let port_text = port.to_string();
    let arguments = [
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &root,
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "pass-word",
    ];
    let server = Redis::start(&arguments).await.unwrap();
    (server, port, authority.pem(), folder)
}

#[tokio::test]
async fn store_over_tls_trusts_only_the_given_authority() {
    let (server, port, root, _folder) = start_tls().await;
    let password = || SecretString::from("pass-word");
    let url = format!("rediss://localhost:{port}/");
    let trusting = builder(&url).root_certificates(root.clone()).authentication(None, password());
    let store = trusting.connect().await.unwrap();
    assert_eq!(testing::faults(&store).await, [""; 0]);

    let untrusting = builder(&url).authentication(None, password()).connect().await.unwrap_err();
    assert!(matches!(untrusting, StoreError::Unavailable(_)), "{untrusting:?}");
    let other_name = format!("rediss://127.0.0.1:{port}/");
    let refused = builder(&other_name).root_certificates(root.clone()).authentication(None, password());
    let refused = refused.connect().await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    let wrong = builder(&url).root_certificates(root).authentication(None, SecretString::from("wrong"));
    assert_eq!(wrong.connect().await.unwrap_err(), StoreError::Denied);
    server.stop().await.unwrap();
}
