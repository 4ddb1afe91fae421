//! `serve --http` with issuers: the claims of a caller decide the accounts, and the names and tags of their roles.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use valetkey_local_aws::{LocalAws, RoleSpec, SecretSpec, UserSpec};
use valetkey_rig::SigningKey;

use super::http::HttpGatewayFixture;
use crate::aws_fixture::AwsFixture;
use crate::exec::fixture_with_keys;
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "
[session]
attribution = 'none'
allowed_accounts = ['dev', 'admin', 'federated']
[accounts.base]
provider = 'environment'
[accounts.dev]
provider = 'assume-role'
source = 'base'
role_arn = 'arn:aws:iam::111111111111:role/{claim:team}'
session_name = '{principal}'
source_identity = '{claim:email}'
tags = { team = '{claim:team}', person = '{claim:name}' }
[accounts.admin]
provider = 'assume-role'
source = 'base'
role_arn = 'arn:aws:iam::111111111111:role/admin'
session_name = 'admin-{claim:email}'
[accounts.federated]
provider = 'web-identity'
role_arn = 'arn:aws:iam::111111111111:role/federated'
session_name = '{claim:email}'
token = 'caller'
[principals.engineers]
accounts = ['dev']
issuer = 'okta'
claims = { groups = 'eng', verified = true }
[principals.admins]
accounts = ['admin', 'federated']
issuer = 'okta'
claims = { '/realm_access/roles' = 'admin' }
[principals.alice]
accounts = ['admin']
issuer = 'entra'
subjects = ['t1/o1']
[http.issuers.okta]
issuer = 'https://okta.example.com'
jwks_file = 'okta.json'
audiences = ['https://mcp.example.com/mcp']
algorithms = ['ES256']
[http.issuers.entra]
issuer = 'https://entra.example.com/t1/v2.0'
jwks_file = 'entra.json'
token_use = 'access'
clients = ['desktop']
subject_claims = ['tid', 'oid']
";

/// A gateway with two issuers, their keys and a fake AWS.
struct IssuersFixture {
    gateway: HttpGatewayFixture,
    aws: AwsFixture,
    okta: SigningKey,
    entra: SigningKey,
    /// Its folder has the settings and the keys.
    _fixture: ProgramFixture,
}

impl IssuersFixture {
    async fn start() -> Self {
        let (okta, entra) = (SigningKey::elliptic("o").unwrap(), SigningKey::elliptic("e").unwrap());
        let document = |key: &SigningKey| json!({"keys": [key.jwk().unwrap()]}).to_string();
        let aws = AwsFixture::start().await;
        let fixture = fixture_with_keys()
            .file("valetkey.toml", SETTINGS)
            .file("okta.json", document(&okta))
            .file("entra.json", document(&entra))
            .env("AWS_ENDPOINT_URL", aws.url());
        let checked = fixture.run(&["check"]).await;
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        let gateway = HttpGatewayFixture::start(&fixture, &[]).await;
        Self { gateway, aws, okta, entra, _fixture: fixture }
    }

    /// Fetches the credentials of an account, and returns the result of the tool.
    async fn refresh(&self, token: &str, account: &str) -> Value {
        let (_, created) = self.gateway.call(Some(token), "create_credential_session", json!({})).await;
        let mut arguments = created["result"]["structuredContent"].clone();
        arguments["account"] = account.into();
        self.gateway.call(Some(token), "refresh_aws_credentials", arguments).await.1["result"].take()
    }
}

/// Returns the claims of an engineer, with changes.
fn carol(changes: &Value) -> Value {
    #[allow(clippy::disallowed_methods, reason = "the gateway under test reads the machine's clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": "https://okta.example.com", "aud": "https://mcp.example.com/mcp", "sub": "00u7",
        "exp": now + 3600, "groups": ["all", "eng"], "verified": true,
        "team": "payments", "email": "carol@example.com", "name": "Carol Müller",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

#[tokio::test]
async fn serve_http_claims_decide_accounts_of_caller() {
    let issuers = IssuersFixture::start().await;
    let token = |changes: Value| issuers.okta.token(&carol(&changes)).unwrap();
    for (changes, accounts) in [
        (json!({}), &["dev"][..]),
        (json!({"realm_access": {"roles": ["admin"]}}), &["admin", "dev", "federated"]),
        (json!({"groups": "all", "realm_access": {"roles": ["admin"]}}), &["admin", "federated"]),
    ] {
        assert_eq!(issuers.gateway.accounts(Some(&token(changes.clone()))).await, accounts, "{changes}");
    }
    for changes in [json!({"verified": "true"}), json!({"groups": ["english"]})] {
        let refused = issuers.gateway.call(Some(&token(changes)), "list_aws_accounts", json!({})).await;
        assert_eq!(refused.0, 403, "{refused:?}");
    }
    let mut alice = carol(&json!({"iss": "https://entra.example.com/t1/v2.0", "tid": "t1", "oid": "o1"}));
    for name in ["aud", "sub"] {
        alice.as_object_mut().unwrap().remove(name);
    }
    alice["token_use"] = json!("access");
    alice["azp"] = json!("desktop");
    let of_alice = issuers.entra.token(&alice).unwrap();
    assert_eq!(issuers.gateway.accounts(Some(&of_alice)).await, ["admin"]);
    let by_other_key = issuers.okta.token(&alice).unwrap();
    assert_eq!(issuers.gateway.call(Some(&by_other_key), "list_aws_accounts", json!({})).await.0, 401);
    issuers.gateway.stop().await;
}

#[tokio::test]
async fn serve_http_claims_name_and_tag_assumed_role() {
    let issuers = IssuersFixture::start().await;
    let token = issuers.okta.token(&carol(&json!({}))).unwrap();
    let refreshed = issuers.refresh(&token, "dev").await;
    assert_ne!(refreshed["isError"], true, "{refreshed}");
    let requests = issuers.aws.sts_requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    for expected in [
        "&RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fpayments&",
        "&RoleSessionName=00u7%40okta&",
        "&SourceIdentity=carol%40example.com",
        "Key=team&Tags.member.2.Value=payments",
        "Key=person&Tags.member.1.Value=Carol%20M%C3%BCller",
    ] {
        assert!(request.contains(expected), "{expected}: {request}");
    }
    issuers.gateway.stop().await;
}

#[tokio::test]
async fn serve_http_unusable_claims_open_no_session() {
    let issuers = IssuersFixture::start().await;
    for changes in [
        json!({"email": null}),
        json!({"email": ["carol@example.com"]}),
        json!({"email": "carol <carol@example.com>"}),
        json!({"team": "payments/../admin"}),
        json!({"team": "x"}),
        json!({"name": "{account}"}),
        json!({"sub": "auth0|7"}),
    ] {
        let token = issuers.okta.token(&carol(&changes)).unwrap();
        let (_, refused) = issuers.gateway.call(Some(&token), "create_credential_session", json!({})).await;
        assert_eq!(refused["result"]["isError"], true, "{changes}: {refused}");
        assert!(!refused.to_string().contains("payments"), "{refused}");
    }
    assert!(issuers.aws.sts_requests().is_empty());
    issuers.gateway.stop().await;
}

#[tokio::test]
async fn serve_http_caller_token_is_sent_only_to_its_provider() {
    let issuers = IssuersFixture::start().await;
    let admin = carol(&json!({"realm_access": {"roles": ["admin"]}, "groups": []}));
    let token = issuers.okta.token(&admin).unwrap();
    for account in ["admin", "federated"] {
        let refreshed = issuers.refresh(&token, account).await;
        assert_ne!(refreshed["isError"], true, "{refreshed}");
        assert!(!refreshed.to_string().contains(&token));
    }
    let requests = issuers.aws.sts_requests();
    let [of_admin, federated] = requests.as_slice() else { panic!("{requests:?}") };
    assert!(of_admin.contains("Action=AssumeRole&") && !of_admin.contains(&token), "{of_admin}");
    assert!(federated.contains("Action=AssumeRoleWithWebIdentity&"), "{federated}");
    assert!(federated.contains(&format!("&WebIdentityToken={token}")), "{federated}");
    issuers.gateway.stop().await;
}

/// AWS itself names the caller by the role session that the claims name.
#[tokio::test]
async fn serve_http_requests_of_two_callers_are_of_two_role_sessions() {
    const ACCOUNT: &str = "111111111111";
    let (key_id, secret) = ("AKIA00000000000BROKER", "secret-of-the-broker");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/reader");
    let value = json!({"access_key_id": "AKIA0000000000STORED", "secret_access_key": "stored"}).to_string();
    let local = LocalAws::builder()
        .user(UserSpec::new(ACCOUNT, "broker", key_id, secret))
        .role(RoleSpec::new(&role).trusts(ACCOUNT))
        .secret(SecretSpec::new(ACCOUNT, "keys", &value));
    let local = local.start().await.unwrap();
    let okta = SigningKey::elliptic("o").unwrap();
    let settings = format!(
        "[accounts.base]\nprovider = 'environment'\n[accounts.reader]\nprovider = 'assume-role'\nsource = 'base'\n\
         role_arn = '{role}'\nsession_name = '{{claim:email}}'\n[accounts.stored]\nprovider = 'secrets-manager'\n\
         source = 'reader'\nsecret_id = 'keys'\n[principals.engineers]\naccounts = ['stored']\n\
         claims = {{ groups = 'eng' }}\n[http.issuers.okta]\nissuer = 'https://okta.example.com'\n\
         jwks_file = 'okta.json'\naudiences = ['https://mcp.example.com/mcp']\n"
    );
    let fixture = ProgramFixture::new()
        .file("valetkey.toml", settings)
        .file("okta.json", json!({"keys": [okta.jwk().unwrap()]}).to_string())
        .env("AWS_ACCESS_KEY_ID", key_id)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", local.endpoint_url());
    let gateway = HttpGatewayFixture::start(&fixture, &[]).await;
    let (entra, aws) = (SigningKey::elliptic("e").unwrap(), AwsFixture::start().await);
    let issuers = IssuersFixture { gateway, aws, okta, entra, _fixture: fixture };
    let emails = ["carol@example.com", "dave@example.com"];
    for (subject, email) in ["00u7", "00u8"].into_iter().zip(emails) {
        let token = issuers.okta.token(&carol(&json!({"sub": subject, "email": email}))).unwrap();
        let refreshed = issuers.refresh(&token, "stored").await;
        assert_ne!(refreshed["isError"], true, "{refreshed}");
    }
    let readers = local.requests().into_iter().filter(|request| request.service == "secretsmanager");
    let mut readers: Vec<_> = readers.filter_map(|request| request.caller).collect();
    readers.dedup();
    let arn = |email: &str| format!("arn:aws:sts::{ACCOUNT}:assumed-role/reader/{email}");
    assert_eq!(readers, emails.map(arn));
    issuers.gateway.stop().await;
}

#[tokio::test]
async fn exec_without_caller_refuses_only_its_accounts() {
    let fixture = fixture_with_keys()
        .file("valetkey.toml", format!("{SETTINGS}[principals.local]\naccounts = ['admin']\n"));
    let run = async |account: &str| {
        let settings = ["exec", "--principal", "local", "--account", account];
        fixture.run(&[&settings[..], &["--", "true"]].concat()).await
    };
    let refused = run("admin").await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("needs the token of a caller"), "{}", refused.stderr);
}

#[tokio::test]
async fn check_issuers_report_their_lines() {
    let base = "[accounts.dev]\nprovider = 'memory'\n[principals.alice]\naccounts = ['dev']\n";
    let issuer = "[http.issuers.okta]\nissuer = 'https://okta.example.com'\njwks_file = 'keys.json'\n";
    let audience = "audiences = ['a']\n";
    for (settings, expected) in [
        (format!("claims = {{ groups = 'eng' }}\n{issuer}"), "what the tokens are issued for"),
        (format!("claims = {{}}\n{issuer}{audience}"), "must have a condition"),
        (format!("claims = {{ groups = ['a'] }}\n{issuer}{audience}"), "`claims`"),
        (format!("subjects = ['a']\nissuer = 'entra'\n{issuer}{audience}"), "must name one of the issuers"),
        ("subjects = ['a']\n[http]\nauth = 'bearer'\n".to_owned(), "`issuer` must name one of the issuers"),
        (
            format!("subjects = ['a']\nclaims = {{ groups = 'eng' }}\n{issuer}{audience}"),
            "makes each caller a principal of its own",
        ),
        (
            format!("subjects = ['a']\n{issuer}{audience}algorithms = ['HS256']\n"),
            "algorithms with public keys",
        ),
        (format!("subjects = ['a']\n{issuer}{audience}audience = 'a'\n"), "did you mean `audiences`"),
        (
            format!("subjects = ['a']\n{issuer}{audience}jwks_url = 'https://okta.example.com'\n"),
            "needs either",
        ),
        (
            format!(
                "claims = {{ a = 'b' }}\n{issuer}{audience}[principals.'x@okta']\naccounts = ['dev']\nsubjects = ['x']\n"
            ),
            "ends with the name of an issuer",
        ),
        ("[http]\nissuer = 'https://okta.example.com'\n".to_owned(), "did you mean `issuers`"),
    ] {
        let fixture = ProgramFixture::new().file("valetkey.toml", format!("{base}{settings}"));
        let checked = fixture.run(&["check"]).await;
        assert_eq!(checked.code, Some(78), "{settings}: {}", checked.combined_output());
        assert!(checked.stderr.contains(expected), "{settings}: {}", checked.stderr);
    }
}
