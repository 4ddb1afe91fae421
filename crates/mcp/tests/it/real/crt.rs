//! The C runtime of the AWS SDKs, which has a credential chain of its own. The S3 connector for PyTorch uses it.

use valetkey_core::{Credentials, SessionContext};
use valetkey_mcp::CredentialEndpoint;
use valetkey_mcp::endpoint::AdvertisedExpiry;
use valetkey_rig::{Result, Script, Venv};

const FETCH: &str = "import awscrt.auth, awscrt.io; group = awscrt.io.EventLoopGroup(1); \
    bootstrap = awscrt.io.ClientBootstrap(group, awscrt.io.DefaultHostResolver(group)); \
    chain = awscrt.auth.AwsCredentialsProvider.new_default_chain(bootstrap); \
    found = chain.get_credentials().result(60); print(found.access_key_id, found.session_token)";

#[tokio::test]
async fn crt_default_chain_reads_credentials_from_endpoint() -> Result<()> {
    let session = SessionContext::builder().build();
    let id = "ASIAIOSFODNN7EXAMPLE".parse().unwrap();
    let credentials =
        Credentials::builder(id, "secret".into()).session_token(Some("token".into())).build().unwrap();
    session.set_credentials(credentials).unwrap();
    let endpoint = CredentialEndpoint::start().await.unwrap();
    let account = session.account(session.default_account()).unwrap();
    let grant = endpoint.grant(account, "crt", AdvertisedExpiry::default());
    let script = Script::python_in(Venv::Storage, "-c").arg(FETCH).envs([
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", grant.url()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", grant.expose_token().to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]);
    assert_eq!(script.run().await?.trim(), "ASIAIOSFODNN7EXAMPLE token");
    Ok(())
}
