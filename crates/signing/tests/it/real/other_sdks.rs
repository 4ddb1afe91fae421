//! The AWS CLI and the SDK for JavaScript through the proxy, before moto.

use serde_json::{Value, json};
use valetkey_rig::{Moto, Script, Venv};
use valetkey_signing::Rules;

use super::fixture::{ProxyFixture, compare, moto_key, variables};

/// Runs a program with moto itself and then through the proxy, and returns what it printed both times.
async fn compare_program(program: impl Fn() -> Script) -> (Value, Value) {
    let run = async |variables| program().envs::<String, String>(variables).run().await.unwrap();
    let (proxied, expected) = compare(run).await;
    (serde_json::from_str(&proxied).unwrap(), serde_json::from_str(&expected).unwrap())
}

fn javascript(code: &str) -> Script {
    Script::node_with(Venv::Sdks, "--input-type=module").arg("-e").arg(code)
}

#[tokio::test]
async fn commands_of_cli_return_what_direct_ones_do() {
    let (proxied, expected) = compare_program(|| Script::new("-c").arg(include_str!("cli.py"))).await;
    let (results, direct) = (proxied["results"].as_array().unwrap(), expected["results"].as_array().unwrap());
    for (result, direct) in results.iter().zip(direct) {
        assert_eq!(result, direct);
    }
    let successes = results.iter().filter(|result| result[1] == json!(0)).count();
    assert_eq!((successes, results.len() - successes), (24, 3), "{results:?}");
    assert_eq!(proxied["equal"], json!(true));
}

#[tokio::test]
async fn operations_of_javascript_sdk_return_what_direct_ones_do() {
    let (proxied, expected) = compare_program(|| javascript(include_str!("javascript.mjs"))).await;
    let (results, direct) = (proxied["results"].as_array().unwrap(), expected["results"].as_array().unwrap());
    for (result, direct) in results.iter().zip(direct) {
        assert_eq!(result, direct);
    }
    let failures: Vec<_> = results.iter().filter(|result| result[2].to_string().contains(": ")).collect();
    assert_eq!((failures.len(), results.len()), (5, 36), "{failures:?}");
    assert_eq!(proxied["payloads"], json!(["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "hash"]));
    assert_eq!(proxied["payloads"], expected["payloads"]);
}

#[tokio::test]
async fn cleartext_http2_of_javascript_sdk_reaches_moto() {
    let moto = Moto::start().await.unwrap();
    let fixture = ProxyFixture::start_with(&moto.url(), &moto_key()).await;
    let placeholder = fixture.placeholder_with(Rules::default().deny("bedrock-runtime:*").unwrap());
    let script = javascript(include_str!("http2.mjs")).envs(variables(&placeholder));
    let printed: Value = serde_json::from_str(&script.run().await.unwrap()).unwrap();
    assert_eq!((&printed["protocols"], &printed["equal"]), (&json!(["h2", "h2"]), &json!(true)));
    let refused = printed["refused"].as_str().unwrap();
    assert!(refused.starts_with("AccessDeniedException: valetkey: the rule deny"), "{refused}");
    moto.stop().await.unwrap();
}
