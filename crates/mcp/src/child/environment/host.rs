//! `HostEnvironment`: the variables of the host that children may inherit.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use valetkey_core::{ExposeSecret, SecretString};

use super::Variables;
use super::lists::{is_inheritable, is_secret_var, overrides_credentials, selects_upstream};
use super::tools::UserDirs;

/// The part of the host's environment that children may inherit.
///
/// Only names of an allow list are inherited: `PATH`, the locale, proxies, certificates, and the configuration of
/// package runners. So a secret that the host has in its environment for another purpose does not reach a child.
///
/// # Examples
/// ```
/// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
///
/// let variables = [("PATH", "/bin"), ("GITHUB_TOKEN", "secret")];
/// let host = HostEnvironment::new(variables.map(|(name, value)| (name.into(), value.into())));
/// let environment = ChildEnvironment::new(&host, []);
/// assert!(environment.contains("PATH", "/bin"));
/// assert!(!environment.contains("GITHUB_TOKEN", "secret"));
/// ```
#[derive(Clone, Default)]
pub struct HostEnvironment {
    pub(super) inherited: Variables,
    pub(super) user_dirs: UserDirs,
    /// The variables that decide how AWS services are reached, also those that no child inherits.
    upstream: Vec<(String, String)>,
    /// AWS secrets, which no child inherits. A child may still read them from the environment of this process, so its
    /// output is masked.
    secrets: Vec<SecretString>,
}

impl HostEnvironment {
    /// Keeps the variables that children inherit by default. Everything else is dropped at once, except for the
    /// secrets among the AWS variables, which [`McpHost`](crate::McpHost) masks.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self::filtered(variables, is_inheritable)
    }

    /// Keeps everything except variables that [override credentials](overrides_credentials), for a program that its
    /// user could also have started without valetkey.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    ///
    /// let variables = [("EDITOR", "vi"), ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")];
    /// let host = HostEnvironment::unrestricted(variables.map(|(name, value)| (name.into(), value.into())));
    /// let environment = ChildEnvironment::new(&host, []);
    /// assert!(environment.contains("EDITOR", "vi"));
    /// assert!(!environment.contains("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"));
    /// ```
    pub fn unrestricted(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self::filtered(variables, |name| !overrides_credentials(name))
    }

    /// Like [`new`](Self::new), with the environment of this process.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    ///
    /// let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
    /// # let Ok(path) = std::env::var("PATH") else { return };
    /// assert!(environment.contains("PATH", &path));
    /// ```
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// Returns the AWS secrets in the host's environment.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(ExposeSecret::expose_secret)
    }

    /// Returns the variables that decide how AWS services are reached, such as `AWS_ENDPOINT_URL` and `HTTPS_PROXY`, for
    /// [`ProxySettings::variables`](valetkey_signing::ProxySettings::variables).
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::HostEnvironment;
    ///
    /// let variables = [("AWS_ENDPOINT_URL", "http://127.0.0.1:5000"), ("AWS_USE_FIPS_ENDPOINT", "true")];
    /// let host = HostEnvironment::new(variables.map(|(name, value)| (name.into(), value.into())));
    /// assert_eq!(host.upstream_variables().count(), 2);
    /// ```
    pub fn upstream_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.upstream.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns a variable that children inherit.
    pub(crate) fn inherited(&self, name: &str) -> Option<&str> {
        self.inherited.get(OsStr::new(name))?.to_str()
    }

    /// Returns the files of the host's user that tools find only in `HOME`, with their names there.
    pub(in crate::child) fn linked(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        self.user_dirs.linked()
    }

    /// Splits the host's variables into those that children inherit and the secrets to mask. The folders of the user
    /// are read before the filter, because the XDG variables are not inherited.
    fn filtered(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        is_kept: impl Fn(&OsStr) -> bool,
    ) -> Self {
        let mut inherited: Variables = variables.into_iter().collect();
        let user_dirs = UserDirs::new(&inherited);
        let secrets = inherited.iter().filter(|(name, _)| is_secret_var(name));
        let secrets = secrets.filter_map(|(_, value)| value.to_str()).map(SecretString::from).collect();
        let upstream = inherited.iter().filter(|(name, _)| selects_upstream(name));
        let upstream = upstream.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        let upstream = upstream.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        inherited.retain(|name, _| is_kept(name));
        Self { inherited, user_dirs, upstream, secrets }
    }
}

/// Shows only names, because values may be secret.
impl fmt::Debug for HostEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.inherited.keys()).finish()
    }
}
