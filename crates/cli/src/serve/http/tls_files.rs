//! The certificate of the gateway and its key, which another program may renew while the gateway runs.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use valetkey::mcp::http::TlsIdentity;
use valetkey::{ExposeSecret, SecretString};

use crate::files::{self, AllowedWriters};
use crate::settings::{Diagnostic, HttpSettings, Settings};

/// The time between two looks at the files.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The files of the identity, and what they contained.
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    private_key: PathBuf,
    content: (String, SecretString),
    pub(super) identity: TlsIdentity,
}

impl TlsFiles {
    /// Reads the files that the settings name, or reports why they cannot be used.
    pub(crate) fn read(
        settings: &Settings,
        http: &HttpSettings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let (certificate, private_key) = match (&http.certificate, &http.private_key) {
            (Some(certificate), Some(private_key)) => (certificate.clone(), private_key.clone()),
            (None, None) => return None,
            (Some(_), None) => {
                diagnostics.push(settings.diagnostic(&["http", "certificate"], "needs its `private_key`"));
                return None;
            }
            (None, Some(_)) => {
                diagnostics.push(settings.diagnostic(&["http", "private_key"], "needs its `certificate`"));
                return None;
            }
        };
        let mut read = |key: &str, path: &PathBuf| {
            let text = files::read_text(path, AllowedWriters::OwnerAndGroup);
            text.map_err(|what| {
                diagnostics.push(settings.diagnostic(&["http", key], format!("names a file that {what}")))
            })
            .ok()
        };
        let text = read("certificate", &certificate);
        let key = read("private_key", &private_key).map(SecretString::from);
        let (text, key) = (text?, key?);
        match TlsIdentity::from_pem(text.as_bytes(), key.expose_secret().as_bytes()) {
            Ok(identity) => Some(Self { certificate, private_key, content: (text, key), identity }),
            Err(error) => {
                diagnostics.push(settings.to_diagnostic(&["http"], &error));
                None
            }
        }
    }

    /// Uses files that have changed for further connections. Files that cannot be used change nothing.
    pub(super) async fn keep_current(mut self) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(what) = self.reload() {
                tracing::warn!("the certificate of the gateway is not replaced: {what}");
            }
        }
    }

    fn reload(&mut self) -> Result<(), String> {
        let certificate = files::read_text(&self.certificate, AllowedWriters::OwnerAndGroup)?;
        let key = SecretString::from(files::read_text(&self.private_key, AllowedWriters::OwnerAndGroup)?);
        let (known, known_key) = &self.content;
        if *known == certificate && known_key.expose_secret() == key.expose_secret() {
            return Ok(());
        }
        let replaced = self.identity.replace(certificate.as_bytes(), key.expose_secret().as_bytes());
        replaced.map_err(|error| error.to_string())?;
        self.content = (certificate, key);
        tracing::info!("the certificate of the gateway is replaced");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn tls_files_changed_replace_identity_if_usable() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = || {
            let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(path("cert.pem"), pair.cert.pem()).unwrap();
            fs::write(path("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        };
        write();
        let http = HttpSettings {
            certificate: Some(path("cert.pem")),
            private_key: Some(path("key.pem")),
            ..HttpSettings::default()
        };
        let mut diagnostics = Vec::new();
        let mut files = TlsFiles::read(&Settings::default(), &http, &mut diagnostics).unwrap();
        assert_eq!(files.reload(), Ok(()));
        let before = files.content.0.clone();
        fs::write(path("cert.pem"), "half a certificate").unwrap();
        assert!(files.reload().is_err());
        assert_eq!(files.content.0, before);
        write();
        assert_eq!(files.reload(), Ok(()));
        assert_ne!(files.content.0, before);
    }
}
