//! The environment of a child, built from an empty one so that the session's credentials always take precedence.

mod host;
mod lists;
mod proxies;
mod tools;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use valetkey_core::{Credentials, Region, SessionId};
use valetkey_signing::Placeholder;

use super::SessionDir;
use crate::endpoint::Grant;

use tools::UserDirs;

pub use host::HostEnvironment;
pub use lists::overrides_credentials;
pub(crate) use lists::selects_endpoint;

type Variables = BTreeMap<OsString, OsString>;

/// The environment variable that marks a program as started by a gateway, directly or indirectly. Its value is the id
/// of the session. A gateway that finds it in its own environment would start itself recursively.
///
/// Programs under `exec` are not marked, because an agent that runs there may start a gateway. A mark that `exec`
/// inherits is passed on.
///
/// # Examples
/// ```
/// use valetkey_mcp::child::GATEWAY_MARKER;
///
/// /// Whether this gateway was started by a server of another gateway.
/// fn is_nested() -> bool {
///     std::env::var_os(GATEWAY_MARKER).is_some()
/// }
/// # assert!(!is_nested());
/// ```
pub const GATEWAY_MARKER: &str = "VALETKEY_GATEWAY";

/// Builds the whole environment of a child.
///
/// The methods are applied in order, and later ones override earlier ones: call [`isolate`](Self::isolate) after the
/// variables of a configuration and before those that deliver credentials.
///
/// # Examples
/// ```
/// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
///
/// let host = HostEnvironment::new([("PATH".into(), "/bin".into()), ("AWS_PROFILE".into(), "admin".into())]);
/// let environment = ChildEnvironment::new(&host, []);
/// assert!(environment.contains("PATH", "/bin"));
/// assert!(!environment.contains("AWS_PROFILE", "admin"));
/// ```
pub struct ChildEnvironment {
    variables: Variables,
    user_dirs: UserDirs,
    /// The file for `AWS_CONFIG_FILE` of a child with keys in its environment. `None` before the isolation.
    env_keys_config: Option<PathBuf>,
}

impl ChildEnvironment {
    /// Creates an environment of the inherited variables and those of the child's configuration.
    ///
    /// # Examples
    /// ```
    /// use std::collections::BTreeMap;
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    ///
    /// let configured = BTreeMap::from([("LOG_LEVEL".to_owned(), "info".to_owned())]);
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), &configured);
    /// assert!(environment.contains("LOG_LEVEL", "info"));
    /// ```
    pub fn new<'a>(host: &HostEnvironment, vars: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let (variables, user_dirs) = (host.inherited.clone(), host.user_dirs.clone());
        Self { variables, user_dirs, env_keys_config: None }.with_vars(vars)
    }

    /// Adds the variables of the child's configuration, which replace existing ones.
    ///
    /// # Examples
    /// ```
    /// use std::collections::BTreeMap;
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    ///
    /// let host = HostEnvironment::new([("LANG".into(), "de_DE.UTF-8".into())]);
    /// let configured = BTreeMap::from([("LANG".to_owned(), "C".to_owned())]);
    /// let environment = ChildEnvironment::new(&host, []).with_vars(&configured);
    /// assert!(environment.contains("LANG", "C"));
    /// ```
    #[must_use]
    pub fn with_vars<'a>(mut self, vars: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        self.variables.extend(vars.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Removes every variable that overrides or bypasses a session's credentials, and disables the other sources of
    /// credentials: the instance metadata service, the shared files and profiles.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> std::io::Result<()> {
    /// use std::collections::BTreeMap;
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionDir};
    ///
    /// let configured = BTreeMap::from([("AWS_PROFILE".to_owned(), "admin".to_owned())]);
    /// let directory = SessionDir::create(None)?;
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), &configured).isolate(&directory);
    /// assert!(!environment.contains("AWS_PROFILE", "admin"));
    /// assert!(environment.contains("AWS_EC2_METADATA_DISABLED", "true"));
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn isolate(mut self, home: &SessionDir) -> Self {
        self.variables.retain(|name, _| !overrides_credentials(name));
        self.insert("AWS_EC2_METADATA_DISABLED", "true");
        self.insert("AWS_SHARED_CREDENTIALS_FILE", home.credentials_file());
        // The variable of version 1 of the SDK for Java, which uses the user's home folder regardless of `HOME`.
        self.insert("AWS_CREDENTIAL_PROFILES_FILE", home.credentials_file());
        self.insert("AWS_CONFIG_FILE", home.config_file());
        self.env_keys_config = Some(home.env_keys_config_file());
        self
    }

    /// Sets `HOME` and `TMPDIR` to folders of the session, so that servers of different sessions do not share state
    /// and logs.
    ///
    /// Package runners and version managers keep the configuration of the host's user: their own variables are set to
    /// its files, where these exist. The package caches are shared too, so that a server is not downloaded again for
    /// each session. [`SessionDir::with_configuration`] links the files of tools without such a variable.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> std::io::Result<()> {
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionDir};
    ///
    /// let host = HostEnvironment::new([("HOME".into(), "/srv/alice".into())]);
    /// let directory = SessionDir::create(None)?;
    /// let environment = ChildEnvironment::new(&host, []).with_home(&directory);
    /// assert!(environment.contains("HOME", directory.home_dir().to_str().unwrap()));
    /// assert!(environment.contains("npm_config_cache", "/srv/alice/.npm"));
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn with_home(mut self, home: &SessionDir) -> Self {
        self.user_dirs.set_tool_vars(&mut self.variables);
        self.insert("HOME", home.home_dir());
        self.with_tmp_dir(home)
    }

    /// Sets `TMPDIR` to a folder of the session. `HOME` remains the user's.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> std::io::Result<()> {
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionDir};
    ///
    /// let host = HostEnvironment::new([("HOME".into(), "/srv/alice".into())]);
    /// let directory = SessionDir::create(None)?;
    /// let environment = ChildEnvironment::new(&host, []).with_tmp_dir(&directory);
    /// assert!(environment.contains("HOME", "/srv/alice"));
    /// assert!(environment.contains("TMPDIR", directory.tmp_dir().to_str().unwrap()));
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn with_tmp_dir(mut self, home: &SessionDir) -> Self {
        self.insert("TMPDIR", home.tmp_dir());
        self
    }

    /// Sets the region, under both names that SDKs read.
    ///
    /// `None` leaves the region that the variables name already.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> valetkey_core::Result<()> {
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    ///
    /// let region = "eu-central-1".parse()?;
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), []).with_region(Some(&region));
    /// assert!(environment.contains("AWS_REGION", "eu-central-1"));
    /// assert!(environment.contains("AWS_DEFAULT_REGION", "eu-central-1"));
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn with_region(mut self, region: Option<&Region>) -> Self {
        if let Some(region) = region {
            self.insert("AWS_REGION", region.as_str());
            self.insert("AWS_DEFAULT_REGION", region.as_str());
        }
        self
    }

    /// Marks the child as started by a gateway; see [`GATEWAY_MARKER`]. Call it after adding the variables of a
    /// configuration.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::child::{ChildEnvironment, GATEWAY_MARKER, HostEnvironment};
    ///
    /// let session = SessionContext::builder().build();
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), []).with_gateway_marker(session.id());
    /// assert!(environment.contains(GATEWAY_MARKER, &session.id().to_string()));
    /// ```
    #[must_use]
    pub fn with_gateway_marker(mut self, session: SessionId) -> Self {
        self.insert(GATEWAY_MARKER, session.to_string());
        self
    }

    /// Delivers credentials by endpoint: adds its address and token, and no key.
    ///
    /// Every AWS SDK reads credentials from this address at the end of its default chain, so the child must have no
    /// other source: call [`isolate`](Self::isolate) first.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::CredentialEndpoint;
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    /// use valetkey_mcp::endpoint::AdvertisedExpiry;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = SessionContext::builder().build();
    /// let endpoint = CredentialEndpoint::start().await?;
    /// let account = session.account(session.default_account())?;
    /// let grant = endpoint.grant(account, "report", AdvertisedExpiry::default());
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), []).with_endpoint(&grant);
    /// assert!(environment.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI", &grant.url()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_endpoint(mut self, grant: &Grant) -> Self {
        self.insert("AWS_CONTAINER_CREDENTIALS_FULL_URI", grant.url());
        self.insert("AWS_CONTAINER_AUTHORIZATION_TOKEN", grant.expose_token());
        self
    }

    /// Delivers placeholders: adds keys that only a [`SigningProxy`](valetkey_signing::SigningProxy) accepts, and its address
    /// as the endpoint of all AWS services.
    ///
    /// Removes every other variable that selects endpoints of AWS. A base URL of another client that is configured stays,
    /// since it may be that of a gateway for models. Call [`isolate`](Self::isolate) first.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    /// use valetkey_mcp::signing::{Rules, SigningProxy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = SessionContext::builder().build();
    /// let proxy = SigningProxy::start().await?;
    /// let account = session.account(session.default_account())?;
    /// let placeholder = proxy.placeholder(account, "report", Rules::default());
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), []).with_placeholder(&placeholder);
    /// assert!(environment.contains("AWS_ENDPOINT_URL", &placeholder.url()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_placeholder(mut self, placeholder: &Placeholder) -> Self {
        self.variables.retain(|name, _| !selects_endpoint(name));
        for (name, value) in placeholder.environment() {
            let is_configured = !name.starts_with("AWS_") && self.variables.contains_key(OsStr::new(&name));
            if !is_configured {
                self.insert(&name, value);
            }
        }
        self.with_env_keys_config()
    }

    /// Delivers credentials by environment: adds the keys themselves.
    ///
    /// A child that has them cannot be given others while it runs. Prefer [`with_endpoint`](Self::with_endpoint),
    /// unless the program supports no other source.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> valetkey_core::Result<()> {
    /// use valetkey_core::Credentials;
    /// use valetkey_mcp::child::{ChildEnvironment, HostEnvironment};
    ///
    /// let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    /// let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, secret.into()).build()?;
    /// let environment = ChildEnvironment::new(&HostEnvironment::default(), []).with_static_credentials(&credentials);
    /// assert!(environment.contains("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"));
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn with_static_credentials(mut self, credentials: &Credentials) -> Self {
        self.insert("AWS_ACCESS_KEY_ID", credentials.access_key_id().as_str());
        self.insert("AWS_SECRET_ACCESS_KEY", credentials.expose_secret_access_key());
        if let Some(token) = credentials.expose_session_token() {
            self.insert("AWS_SESSION_TOKEN", token);
        }
        self.with_env_keys_config()
    }

    fn with_env_keys_config(mut self) -> Self {
        if let Some(path) = self.env_keys_config.take() {
            self.insert("AWS_CONFIG_FILE", path);
        }
        self
    }

    /// Whether the child gets `name` with this value.
    #[must_use]
    pub fn contains(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(OsStr::new(value))
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Returns the final variables. Any proxy is bypassed for the endpoint.
    pub(super) fn into_variables(mut self) -> Variables {
        proxies::bypass_proxy_on_loopback(&mut self.variables);
        self.variables
    }

    fn insert(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.insert(name.into(), value.as_ref().to_owned());
    }
}

/// Shows only names, because values may be secret.
impl std::fmt::Debug for ChildEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_environment() -> HostEnvironment {
        let variables = [
            ("PATH", "/bin"),
            ("HOME", "/home-of-host"),
            ("AWS_ACCESS_KEY_ID", "host"),
            ("AWS_PROFILE", "host"),
            ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
            ("GITHUB_TOKEN", "host"),
        ];
        HostEnvironment::new(variables.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn child_environment_inherits_only_listed_variables() {
        let vars = BTreeMap::new();
        let variables = ChildEnvironment::new(&host_environment(), &vars).into_variables();
        let names: Vec<_> = variables.keys().filter_map(|name| name.to_str()).collect();
        assert_eq!(names, ["AWS_ENDPOINT_URL_STS", "HOME", "PATH"]);
    }

    #[test]
    fn isolate_removes_credential_overrides_named_in_config() {
        let home = SessionDir::create(None).unwrap();
        let vars = BTreeMap::from([
            ("AWS_PROFILE".to_owned(), "x".to_owned()),
            ("MODE".to_owned(), "ro".to_owned()),
        ]);
        let variables = ChildEnvironment::new(&host_environment(), &vars)
            .isolate(&home)
            .with_home(&home)
            .into_variables();
        assert!(!variables.contains_key(OsStr::new("AWS_PROFILE")));
        assert_eq!(variables[OsStr::new("MODE")], "ro");
        assert_eq!(variables[OsStr::new("HOME")], home.home_dir());
        assert_eq!(variables[OsStr::new("UV_CACHE_DIR")], "/home-of-host/.cache/uv");
        assert_eq!(variables[OsStr::new("AWS_EC2_METADATA_DISABLED")], "true");
    }

    #[tokio::test]
    async fn placeholder_variables_keep_base_url_of_other_client() {
        const BASE_URL: &str = "ANTHROPIC_BEDROCK_BASE_URL";
        let session = valetkey_core::SessionContext::builder().build();
        let proxy = valetkey_signing::SigningProxy::start().await.unwrap();
        let account = session.account(session.default_account()).unwrap();
        let placeholder = proxy.placeholder(account, "test", valetkey_signing::Rules::default());
        let bedrock = format!("{}/~bedrock-runtime", placeholder.url());
        for (configured, expected) in [(None, &*bedrock), (Some("http://gateway"), "http://gateway")] {
            let vars: BTreeMap<_, _> =
                configured.map(|url| (BASE_URL.to_owned(), url.to_owned())).into_iter().collect();
            let environment =
                ChildEnvironment::new(&host_environment(), &vars).with_placeholder(&placeholder);
            assert!(environment.contains(BASE_URL, expected));
        }
    }
}
