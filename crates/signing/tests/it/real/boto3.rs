//! boto3 through the proxy, before moto and before MiniStack, which verifies signatures.

use std::collections::HashSet;

use serde_json::Value;
use valetkey_core::{Credentials, SessionContext};
use valetkey_rig::{AccessKey, MiniStack, Moto, REGION, Script};
use valetkey_signing::{Placeholder, ProxySettings, Rules, SigningProxy};

const CALLER: &str = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])";

pub(super) fn key(access_key_id: &str, secret: &str) -> AccessKey {
    AccessKey { access_key_id: access_key_id.to_owned(), secret_access_key: secret.to_owned() }
}

pub(super) fn set(session: &SessionContext, key: &AccessKey) {
    let id = key.access_key_id.parse().unwrap();
    let credentials = Credentials::builder(id, key.secret_access_key.clone().into()).build().unwrap();
    session.set_credentials(credentials).unwrap();
}

/// Creates a user of an account with all rights. MiniStack verifies its signatures, unlike those of the root key.
pub(super) async fn user_key(ministack: &MiniStack) -> AccessKey {
    const CREATE: &str = "import boto3, json; iam = boto3.client('iam'); iam.create_user(UserName='u'); \
        iam.put_user_policy(UserName='u', PolicyName='all', PolicyDocument=json.dumps({'Version': '2012-10-17', \
        'Statement': [{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}]})); \
        created = iam.create_access_key(UserName='u')['AccessKey']; \
        print(created['AccessKeyId'], created['SecretAccessKey'])";
    let root = MiniStack::root("111111111111");
    let printed = script(CREATE, direct(&ministack.url(), &root)).run().await.unwrap();
    let (id, secret) = printed.trim().split_once(' ').unwrap();
    key(id, secret)
}

pub(super) async fn proxy_to(url: &str) -> SigningProxy {
    SigningProxy::start_with(ProxySettings::default().endpoint(url).unwrap()).await.unwrap()
}

pub(super) fn placeholder(proxy: &SigningProxy, session: &SessionContext) -> Placeholder {
    let account = session.account(session.default_account()).unwrap();
    proxy.placeholder(account, "test", Rules::default())
}

/// The variables beside keys and endpoint.
pub(super) fn region() -> [(&'static str, &'static str); 3] {
    [("AWS_REGION", REGION), ("AWS_DEFAULT_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")]
}

pub(super) fn script(code: &str, environment: Vec<(String, String)>) -> Script {
    Script::new("-c").arg(code).envs(environment).envs(region())
}

pub(super) fn direct(url: &str, key: &AccessKey) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", &key.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &key.secret_access_key),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Runs a script with moto itself and then through the proxy, and returns what it printed both times.
async fn compare(code: &str) -> (Value, Value) {
    let moto = Moto::start().await.unwrap();
    let key = key("AKIAIOSFODNN7EXAMPLE", "secret");
    let expected = script(code, direct(&moto.url(), &key)).run().await.unwrap();
    moto.reset().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &key);
    let proxy = proxy_to(&moto.url()).await;
    let placeholder = placeholder(&proxy, &session);
    let proxied = script(code, placeholder.environment()).run().await.unwrap();
    moto.stop().await.unwrap();
    (serde_json::from_str(&proxied).unwrap(), serde_json::from_str(&expected).unwrap())
}

#[tokio::test]
async fn operations_through_proxy_return_what_direct_ones_do() {
    let (proxied, expected) = compare(include_str!("operations.py")).await;
    assert_eq!(proxied, expected);
    assert!(proxied.as_object().unwrap().len() >= 14);
}

#[tokio::test]
async fn operations_of_many_services_return_what_direct_ones_do() {
    let (proxied, expected) = compare(include_str!("breadth.py")).await;
    let (proxied, expected) = (proxied.as_array().unwrap(), expected.as_array().unwrap());
    for (proxied, expected) in proxied.iter().zip(expected) {
        assert_eq!(proxied, expected);
    }
    let successes: Vec<_> = proxied.iter().filter(|call| call[2].get("error").is_none()).collect();
    let services: HashSet<_> = successes.iter().map(|call| call[0].as_str().unwrap()).collect();
    assert!(successes.len() >= 80 && services.len() >= 40 && proxied.len() == expected.len());
}

#[tokio::test]
async fn rules_apply_to_operations_of_rest_services() {
    const CALLS: &str = "import boto3, botocore.exceptions
s3 = boto3.client('s3')
for name, arguments in (('create_bucket', {}), ('put_object', {'Key': 'k', 'Body': b'b'}), ('get_object', {'Key': 'k'}),
        ('list_objects_v2', {}), ('copy_object', {'Key': 'c', 'CopySource': 'rules/k'}), ('delete_object', {'Key': 'k'})):
    try:
        getattr(s3, name)(Bucket='rules', **arguments)
        print(name)
    except botocore.exceptions.ClientError as error:
        print(name, error.response['Error']['Code'], 'valetkey: ' in str(error))";
    let moto = Moto::start().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &key("AKIAIOSFODNN7EXAMPLE", "secret"));
    let proxy = proxy_to(&moto.url()).await;
    let run = async |rules| {
        let account = session.account(session.default_account()).unwrap();
        let placeholder = proxy.placeholder(account, "test", rules);
        script(CALLS, placeholder.environment()).run().await.unwrap()
    };
    let rules = Rules::default().deny("s3:DeleteObject").unwrap().deny("s3:CopyObject").unwrap();
    let all = "create_bucket\nput_object\nget_object\nlist_objects_v2\n";
    let refused = "copy_object AccessDenied True\ndelete_object AccessDenied True\n";
    assert_eq!(run(rules).await, format!("{all}{refused}"));
    let read_only = run(Rules::default().allow("s3:*Object*").unwrap().read_only(true)).await;
    let (create, put) = ("create_bucket AccessDenied True", "put_object AccessDenied True");
    assert_eq!(read_only, format!("{create}\n{put}\nget_object\nlist_objects_v2\n{refused}"));
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn change_of_credentials_applies_to_next_request() {
    let ministack = MiniStack::start().await.unwrap();
    let session = SessionContext::builder().build();
    let proxy = proxy_to(&ministack.url()).await;
    let placeholder = placeholder(&proxy, &session);
    let caller =
        async || script(CALLER, placeholder.environment()).run().await.map_err(|error| error.to_string());
    for account in ["111111111111", "222222222222"] {
        set(&session, &MiniStack::root(account));
        assert_eq!(caller().await.unwrap().trim(), account);
    }
    session.clear();
    let refused = caller().await.unwrap_err();
    assert!(refused.contains("valetkey: "), "{refused}");
    set(&session, &MiniStack::root("111111111111"));
    assert!(caller().await.is_ok());
    session.close();
    assert!(caller().await.unwrap_err().contains("valetkey: "));
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn changed_requests_are_refused_by_the_proxy() {
    let ministack = MiniStack::start().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &MiniStack::root("111111111111"));
    let proxy = proxy_to(&ministack.url()).await;
    let placeholder = placeholder(&proxy, &session);
    let printed = script(include_str!("hostile.py"), placeholder.environment()).run().await.unwrap();
    let results: Value = serde_json::from_str(&printed).unwrap();
    for (name, result) in results.as_object().unwrap() {
        let (status, body) = (result[0].as_u64().unwrap(), result[1].as_str().unwrap());
        if name == "unchanged" {
            assert_eq!(status, 200, "{body}");
        } else {
            assert!((400..500).contains(&status) && body.contains("valetkey: "), "{name}: {status} {body}");
        }
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn placeholders_are_refused_elsewhere_and_once_dropped() {
    let ministack = MiniStack::start().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &MiniStack::root("111111111111"));
    let proxy = proxy_to(&ministack.url()).await;
    let (first, second) = (placeholder(&proxy, &session), placeholder(&proxy, &session));
    let mut mixed = first.environment();
    for (name, value) in &mut mixed {
        if name == "AWS_SESSION_TOKEN" {
            second.expose_session_token().clone_into(value);
        }
    }
    assert!(script(CALLER, mixed).run().await.is_err());
    let mut elsewhere = first.environment();
    elsewhere.retain(|(name, _)| !name.starts_with("AWS_ENDPOINT_URL"));
    elsewhere.push(("AWS_ENDPOINT_URL".to_owned(), ministack.url()));
    assert!(script(CALLER, elsewhere).run().await.is_err());
    let environment = first.environment();
    assert!(script(CALLER, environment.clone()).run().await.is_ok());
    drop(first);
    assert!(script(CALLER, environment).run().await.unwrap_err().to_string().contains("valetkey: "));
    assert!(script(CALLER, second.environment()).run().await.is_ok());
    proxy.stop().await;
    assert!(script(CALLER, second.environment()).run().await.is_err());
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn requests_signed_by_proxy_are_accepted_by_strict_peer() {
    const CALLS: &str = "import boto3; s3 = boto3.client('s3'); s3.create_bucket(Bucket='b1x'); \
        s3.put_object(Bucket='b1x', Key='a b/c+d', Body=b'body'); \
        print(boto3.client('sts').get_caller_identity()['Arn'], \
        s3.get_object(Bucket='b1x', Key='a b/c+d')['Body'].read().decode())";
    const LIST: &str = "import boto3; boto3.client('s3').list_buckets()";
    let ministack = MiniStack::start().await.unwrap();
    let session = SessionContext::builder().build();
    let user = user_key(&ministack).await;
    let proxy = proxy_to(&ministack.url()).await;
    let placeholder = placeholder(&proxy, &session);
    set(&session, &user);
    let printed = script(CALLS, placeholder.environment()).run().await.unwrap();
    assert_eq!(printed.trim(), "arn:aws:iam::111111111111:user/u body");
    // The peer verifies signatures: with another secret it refuses what the proxy signs.
    set(&session, &key(&user.access_key_id, "wrong"));
    for call in [CALLER, LIST] {
        let refused = script(call, placeholder.environment()).run().await.unwrap_err().to_string();
        assert!(refused.contains("SignatureDoesNotMatch"), "{refused}");
    }
    ministack.stop().await.unwrap();
}
