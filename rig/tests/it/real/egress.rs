//! Egress: the fixed host responds, and all other hosts are unreachable.

use valetkey_rig::{Egress, Result, Script};

use super::script_path;

const CANNED_HOST: &str = "servicereference.us-east-1.amazonaws.com";

#[tokio::test]
async fn egress_serves_canned_host_and_records_refused_ones() -> Result<()> {
    let egress = Egress::start().await?;

    assert_eq!(fetch(&egress, CANNED_HOST).await?, "200 []");
    let other = fetch(&egress, "example.org").await?;
    assert!(other.contains("403"), "{other}");
    assert_eq!(egress.hosts().await?, [CANNED_HOST, "example.org"]);
    egress.stop().await
}

async fn fetch(egress: &Egress, host: &str) -> Result<String> {
    let answer = Script::new(script_path("fetch.py")).arg(host).envs(egress.env()).run().await?;
    Ok(answer.trim().to_owned())
}
