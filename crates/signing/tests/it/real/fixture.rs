//! `ProxyFixture`: a proxy to a real peer, and what programs are run with.

use valetkey_core::{Credentials, SessionContext};
use valetkey_rig::{AccessKey, MiniStack, Moto, REGION, Script};
use valetkey_signing::{Placeholder, ProxySettings, Rules, SigningProxy};

/// Environment variables of a program: keys, endpoint and region.
pub(super) type Variables = Vec<(String, String)>;

/// A proxy to one peer, with a session and a placeholder of it.
pub(super) struct ProxyFixture {
    pub(super) session: SessionContext,
    pub(super) proxy: SigningProxy,
    pub(super) placeholder: Placeholder,
}

impl ProxyFixture {
    /// Starts a proxy for a session that has no credentials.
    pub(super) async fn start(url: &str) -> Self {
        let session = SessionContext::builder().build();
        let settings = ProxySettings::default().endpoint(url).unwrap();
        let proxy = SigningProxy::start_with(settings).await.unwrap();
        let account = session.account(session.default_account()).unwrap();
        let placeholder = proxy.placeholder(account, "test", Rules::default());
        Self { session, proxy, placeholder }
    }

    /// As [`start`](Self::start), with the credentials of `key`.
    pub(super) async fn start_with(url: &str, key: &AccessKey) -> Self {
        let fixture = Self::start(url).await;
        fixture.set(key);
        fixture
    }

    /// Sets the credentials of the session.
    pub(super) fn set(&self, key: &AccessKey) {
        let id = key.access_key_id.parse().unwrap();
        let credentials = Credentials::builder(id, key.secret_access_key.clone().into()).build().unwrap();
        self.session.set_credentials(credentials).unwrap();
    }

    /// Returns another placeholder of the session.
    pub(super) fn placeholder_with(&self, rules: Rules) -> Placeholder {
        let account = self.session.account(self.session.default_account()).unwrap();
        self.proxy.placeholder(account, "test", rules)
    }

    /// Returns the variables with which a program uses the placeholder.
    pub(super) fn variables(&self) -> Variables {
        variables(&self.placeholder)
    }
}

pub(super) fn key(access_key_id: &str, secret: &str) -> AccessKey {
    AccessKey { access_key_id: access_key_id.to_owned(), secret_access_key: secret.to_owned() }
}

/// Returns a key that moto accepts.
pub(super) fn moto_key() -> AccessKey {
    key("AKIAIOSFODNN7EXAMPLE", "secret")
}

/// Creates a user of an account with all rights. MiniStack verifies its signatures, unlike those of the root key.
pub(super) async fn user_key(ministack: &MiniStack) -> AccessKey {
    const CREATE: &str = "import boto3, json; iam = boto3.client('iam'); iam.create_user(UserName='u'); \
        iam.put_user_policy(UserName='u', PolicyName='all', PolicyDocument=json.dumps({'Version': '2012-10-17', \
        'Statement': [{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}]})); \
        created = iam.create_access_key(UserName='u')['AccessKey']; \
        print(created['AccessKeyId'], created['SecretAccessKey'])";
    let root = MiniStack::root("111111111111");
    let printed = script(CREATE, direct_variables(&ministack.url(), &root)).run().await.unwrap();
    let (id, secret) = printed.trim().split_once(' ').unwrap();
    key(id, secret)
}

/// Returns a script in Python.
pub(super) fn script(code: &str, variables: Variables) -> Script {
    Script::new("-c").arg(code).envs(variables)
}

/// Returns the variables with which a program uses a placeholder.
pub(super) fn variables(placeholder: &Placeholder) -> Variables {
    with_region(placeholder.environment())
}

/// Returns the variables with which a program uses a key at an endpoint, without a proxy.
pub(super) fn direct_variables(url: &str, key: &AccessKey) -> Variables {
    let variables = [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", &key.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &key.secret_access_key),
    ];
    with_region(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn with_region(mut variables: Variables) -> Variables {
    let region =
        [("AWS_REGION", REGION), ("AWS_DEFAULT_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")];
    variables.extend(region.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
}

/// Runs a program with moto itself and then through the proxy. Returns what it returned through the proxy, and what it
/// returned directly.
pub(super) async fn compare<T>(run: impl AsyncFn(Variables) -> T) -> (T, T) {
    let moto = Moto::start().await.unwrap();
    let key = moto_key();
    let expected = run(direct_variables(&moto.url(), &key)).await;
    moto.reset().await.unwrap();
    let fixture = ProxyFixture::start_with(&moto.url(), &key).await;
    let proxied = run(fixture.variables()).await;
    moto.stop().await.unwrap();
    (proxied, expected)
}
