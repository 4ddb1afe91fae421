//! boto3 through the proxy, before moto and before MiniStack, which verifies signatures.

use std::collections::HashSet;

use serde_json::Value;
use valetkey_rig::{MiniStack, Moto};
use valetkey_signing::Rules;

use super::fixture::{ProxyFixture, Variables, compare, key, moto_key, script, user_key, variables};

const CALLER: &str = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])";

/// Runs a script with moto itself and then through the proxy, and returns what it printed both times.
async fn compare_script(code: &str) -> (Value, Value) {
    compare(async |variables| serde_json::from_str(&script(code, variables).run().await.unwrap()).unwrap())
        .await
}

#[tokio::test]
async fn operations_through_proxy_return_what_direct_ones_do() {
    let (proxied, expected) = compare_script(include_str!("operations.py")).await;
    assert_eq!(proxied, expected);
    assert!(proxied.as_object().unwrap().len() >= 14);
}

#[tokio::test]
async fn operations_of_many_services_return_what_direct_ones_do() {
    let (proxied, expected) = compare_script(include_str!("breadth.py")).await;
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
    let fixture = ProxyFixture::start_with(&moto.url(), &moto_key()).await;
    let run = async |rules| {
        let placeholder = fixture.placeholder_with(rules);
        script(CALLS, variables(&placeholder)).run().await.unwrap()
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
    let fixture = ProxyFixture::start(&ministack.url()).await;
    let caller = async || script(CALLER, fixture.variables()).run().await.map_err(|error| error.to_string());
    for account in ["111111111111", "222222222222"] {
        fixture.set(&MiniStack::root(account));
        assert_eq!(caller().await.unwrap().trim(), account);
    }
    fixture.session.clear();
    let refused = caller().await.unwrap_err();
    assert!(refused.contains("valetkey: "), "{refused}");
    fixture.set(&MiniStack::root("111111111111"));
    assert!(caller().await.is_ok());
    fixture.session.close();
    assert!(caller().await.unwrap_err().contains("valetkey: "));
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn changed_requests_are_refused_by_the_proxy() {
    let ministack = MiniStack::start().await.unwrap();
    let fixture = ProxyFixture::start_with(&ministack.url(), &MiniStack::root("111111111111")).await;
    let printed = script(include_str!("hostile.py"), fixture.variables()).run().await.unwrap();
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
    let fixture = ProxyFixture::start_with(&ministack.url(), &MiniStack::root("111111111111")).await;
    let caller =
        async |variables: Variables| script(CALLER, variables).run().await.map_err(|error| error.to_string());
    let first = fixture.placeholder_with(Rules::default());
    let mut mixed = variables(&first);
    for (name, value) in &mut mixed {
        if name == "AWS_SESSION_TOKEN" {
            fixture.placeholder.expose_session_token().clone_into(value);
        }
    }
    assert!(caller(mixed).await.is_err());
    let mut elsewhere = variables(&first);
    elsewhere.retain(|(name, _)| !name.starts_with("AWS_ENDPOINT_URL"));
    elsewhere.push(("AWS_ENDPOINT_URL".to_owned(), ministack.url()));
    assert!(caller(elsewhere).await.is_err());
    let of_first = variables(&first);
    assert!(caller(of_first.clone()).await.is_ok());
    drop(first);
    assert!(caller(of_first).await.unwrap_err().contains("valetkey: "));
    let of_second = fixture.variables();
    assert!(caller(of_second.clone()).await.is_ok());
    fixture.proxy.stop().await;
    assert!(caller(of_second).await.is_err());
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
    let user = user_key(&ministack).await;
    let fixture = ProxyFixture::start_with(&ministack.url(), &user).await;
    let printed = script(CALLS, fixture.variables()).run().await.unwrap();
    assert_eq!(printed.trim(), "arn:aws:iam::111111111111:user/u body");
    // The peer verifies signatures: with another secret it refuses what the proxy signs.
    fixture.set(&key(&user.access_key_id, "wrong"));
    for call in [CALLER, LIST] {
        let refused = script(call, fixture.variables()).run().await.unwrap_err().to_string();
        assert!(refused.contains("SignatureDoesNotMatch"), "{refused}");
    }
    ministack.stop().await.unwrap();
}
