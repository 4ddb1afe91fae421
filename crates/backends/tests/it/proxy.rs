//! Proxies: what goes through `HTTP_PROXY`, and what never does. Each test runs in a process with its own environment.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use valetkey_backends::{AssumeRoleProvider, AwsClientConfig, DefaultChainProvider};
use valetkey_core::CredentialProvider;

use crate::loopback_fixture::read_request;
use crate::{region, run_in_child_process, static_source, with_fast_retries};

const CONTAINER_CREDENTIALS: &str = r#"{"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"of-the-endpoint","Token":"t","Expiration":"2099-01-01T00:00:00Z","Code":"Success"}"#;

/// A server on a port of its own that responds to each request with what `respond` makes of it.
async fn start_server(respond: fn(&str) -> (u16, &'static str)) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let received = Arc::<Mutex<Vec<String>>>::default();
    let recorded = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            let (status, body) = respond(&request);
            recorded.lock().unwrap().push(request);
            let head = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    (address, received)
}

/// A proxy that refuses, and keeps what it receives.
async fn start_proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let (address, received) = start_server(|_| (502, "")).await;
    (format!("http://{address}"), received)
}

fn metadata_response(request: &str) -> (u16, &'static str) {
    match request.lines().next().unwrap() {
        line if line.starts_with("PUT /latest/api/token ") => (200, "a-token"),
        line if line.contains("/security-credentials/agent") => (200, CONTAINER_CREDENTIALS),
        line if line.contains("/security-credentials-extended/agent") => (200, CONTAINER_CREDENTIALS),
        line if line.contains("/security-credentials") => (200, "agent"),
        _ => (404, ""),
    }
}

#[tokio::test]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_with_proxy_variables() {
    let provider = DefaultChainProvider::new().client_config(&AwsClientConfig::from_process().await);
    assert_eq!(provider.provide().await.unwrap().expose_secret_access_key(), "of-the-endpoint");
}

async fn requests_through_proxy(variables: &[(&str, &str)]) -> Vec<String> {
    let (proxy, received) = start_proxy().await;
    let mut all = vec![("PATH", "/usr/bin:/bin"), ("HOME", "/nonexistent"), ("AWS_REGION", "us-east-1")];
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        all.push((name, proxy.as_str()));
    }
    all.extend_from_slice(variables);
    let all: Vec<_> = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    tokio::task::spawn_blocking(move || {
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run_in_child_process("proxy::child_process_with_proxy_variables", &all);
    })
    .await
    .unwrap();
    received.lock().unwrap().clone()
}

#[tokio::test]
async fn proxy_is_bypassed_for_container_credentials() {
    let (endpoint, received) = start_server(|_| (200, CONTAINER_CREDENTIALS)).await;
    let url = format!("http://{endpoint}/creds");
    let proxied = requests_through_proxy(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token-of-the-host"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ])
    .await;
    assert!(received.lock().unwrap()[0].contains("a-token-of-the-host"));
    assert!(proxied.is_empty(), "the proxy received {proxied:?}");
}

#[tokio::test]
async fn proxy_is_bypassed_for_instance_metadata() {
    let (endpoint, received) = start_server(metadata_response).await;
    let url = format!("http://{endpoint}");
    let proxied = requests_through_proxy(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]).await;
    assert!(received.lock().unwrap()[0].starts_with("PUT /latest/api/token"));
    assert!(proxied.is_empty(), "the proxy received {proxied:?}");
}

#[tokio::test]
#[ignore = "runs in the process that the next test starts"]
async fn child_process_that_calls_sts() {
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let base = with_fast_retries(&AwsClientConfig::from_process().await).region(&region("us-east-1"));
    let base = base.endpoint_url("http://sts.example.com");
    let provider = AssumeRoleProvider::builder(role, static_source()).client_config(&base).build().unwrap();
    provider.provide().await.unwrap_err();
}

#[tokio::test]
async fn proxy_is_used_for_sts() {
    let (proxy, received) = start_proxy().await;
    tokio::task::spawn_blocking(move || {
        let variables = [("HTTP_PROXY", proxy.as_str()), ("AWS_REGION", "us-east-1")];
        run_in_child_process("proxy::child_process_that_calls_sts", &variables);
    })
    .await
    .unwrap();
    let received = received.lock().unwrap();
    assert!(received[0].starts_with("POST http://sts.example.com/"), "{received:?}");
}
