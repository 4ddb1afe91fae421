//! `TlsIdentity`: the certificate and the private key with which the gateway encrypts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use valetkey_core::{Error, Result};

/// The time for the handshake of a connection.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A certificate and its private key. A clone refers to the same identity.
///
/// TLS 1.2 and 1.3 are spoken, with the secure defaults of rustls.
///
/// # Examples
/// ```
/// use valetkey_core::ErrorKind;
/// use valetkey_mcp::http::TlsIdentity;
///
/// let error = TlsIdentity::from_pem(b"no certificate", b"no key").unwrap_err();
/// assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("certificate")));
/// ```
#[derive(Clone)]
pub struct TlsIdentity(Arc<RwLock<Arc<ServerConfig>>>);

impl TlsIdentity {
    /// Creates an identity from a certificate, with the intermediate certificates after it, and from its private key
    /// (PKCS#8, PKCS#1 or SEC1), both as PEM.
    ///
    /// # Errors
    /// `Invalid` when one of them cannot be read, or when the key is not that of the certificate.
    pub fn from_pem(certificate: &[u8], private_key: &[u8]) -> Result<Self> {
        Ok(Self(Arc::new(RwLock::new(server_config(certificate, private_key)?))))
    }

    /// Replaces the identity, for connections that are accepted from now on.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem). The identity is then unchanged.
    pub fn replace(&self, certificate: &[u8], private_key: &[u8]) -> Result<()> {
        let config = server_config(certificate, private_key)?;
        *self.0.write() = config;
        Ok(())
    }

    /// Encrypts a connection. Returns `None` when its client does not speak TLS, or not in time.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0.read()));
        timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await.ok()?.ok()
    }
}

fn server_config(certificate: &[u8], private_key: &[u8]) -> Result<Arc<ServerConfig>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::invalid("certificate", "must be PEM").with_source(error))?;
    if chain.is_empty() {
        return Err(Error::invalid("certificate", "must begin with `-----BEGIN CERTIFICATE-----`")
            .with_next_step("name the file with the certificate and its intermediate certificates"));
    }
    // The error could repeat a part of the key.
    let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|_| {
        Error::invalid("private_key", "must be a private key in PEM")
            .with_next_step("name the file with its key")
    })?;
    let versions = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid("certificate", "cannot be used").with_source(error))?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, key).map_err(|error| {
        Error::invalid("private_key", "must be that of the certificate").with_source(error)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}
