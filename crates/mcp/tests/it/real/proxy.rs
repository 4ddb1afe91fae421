//! SDKs behind a proxy: requests to the internet go through it, and requests to the credential endpoint never do.

use std::collections::BTreeMap;

use valetkey_core::SessionContext;
use valetkey_mcp::CredentialEndpoint;
use valetkey_mcp::child::{ChildEnvironment, HostEnvironment, SessionDir};
use valetkey_mcp::endpoint::AdvertisedExpiry;
use valetkey_rig::{Result, Venv, packages, program};

use super::listener_fixture::{BAD_GATEWAY, ListenerFixture};
use super::{python_script, run_to_output};
use crate::keys::keys;

const OUTSIDE: &str = "http://outside.invalid/";

/// Returns the output of a program that fetches its credentials and then an external resource.
async fn run_behind_proxy(
    proxy: &ListenerFixture,
    exceptions: &[(&str, &str)],
    command: &[String],
) -> String {
    let session = SessionContext::builder().build();
    session.set_credentials(keys("AAAA")).unwrap();
    let (endpoint, home) = (CredentialEndpoint::start().await.unwrap(), SessionDir::create(None).unwrap());
    let grant = endpoint.grant(
        session.account(session.default_account()).unwrap(),
        "proxied",
        AdvertisedExpiry::default(),
    );
    let proxies =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"].map(|name| (name, proxy.url.as_str()));
    let path = std::env::var("PATH").unwrap();
    let host = proxies.into_iter().chain(exceptions.iter().copied()).chain([("PATH", path.as_str())]);
    let host = HostEnvironment::new(host.map(|(name, value)| (name.into(), value.into())));
    let mut named = BTreeMap::from([("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned())]);
    named.insert("RIG_NODE".to_owned(), Venv::Node.path().to_str().unwrap().to_owned());
    named.insert("OUTSIDE".to_owned(), OUTSIDE.to_owned());
    let environment =
        ChildEnvironment::new(&host, &named).isolate(&home).with_home(&home).with_endpoint(&grant);
    run_to_output(environment, command).await
}

#[tokio::test]
async fn credential_endpoint_is_never_proxied_by_an_sdk() -> Result<()> {
    let python =
        [program("python")?, python_script("proxied.py")].map(|path| path.to_str().unwrap().to_owned());
    let node =
        [packages::node()?, python_script("proxied.mjs")].map(|path| path.to_str().unwrap().to_owned());
    for command in [python, node] {
        for exceptions in [&[][..], &[("no_proxy", ".corp.example")]] {
            let proxy = ListenerFixture::start(BAD_GATEWAY).await;
            let printed = run_behind_proxy(&proxy, exceptions, &command).await;
            assert_eq!(printed, "ASIA000000000000AAAA\nrefused\n", "{command:?} {:?}", proxy.requests());
            assert_eq!(proxy.requests(), [format!("GET {OUTSIDE} HTTP/1.1")], "{command:?}");
        }
    }
    Ok(())
}
