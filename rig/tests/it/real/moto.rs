//! Moto: up, lenient, strict on request.

use std::time::Duration;

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use valetkey_rig::{Moto, Result};

use super::{caller_arn, unknown_key};

const MOTO_CALLER_ARN: &str = "arn:aws:sts::123456789012:user/moto";

#[tokio::test]
async fn moto_accepts_unknown_key_until_auth_enforced() -> Result<()> {
    let moto = Moto::start().await?;
    assert_eq!(caller_arn(&moto.url(), &unknown_key()).await?, MOTO_CALLER_ARN);

    moto.enforce_auth(true).await?;
    assert_eq!(caller_arn(&moto.url(), &unknown_key()).await?, "InvalidClientTokenId");

    moto.enforce_auth(false).await?;
    moto.reset().await?;
    assert_eq!(caller_arn(&moto.url(), &unknown_key()).await?, MOTO_CALLER_ARN);
    moto.stop().await
}

#[tokio::test]
async fn peers_started_together_have_distinct_ports() -> Result<()> {
    let (one, other) = tokio::try_join!(Moto::start(), Moto::start())?;
    assert_ne!(one.url(), other.url());
    one.stop().await?;
    other.stop().await
}

#[tokio::test]
async fn peer_dropped_handle_stops_process() -> Result<()> {
    let moto = Moto::start().await?;
    let (url, limit) = (moto.url(), Duration::from_secs(10));
    drop(moto);
    let gone = async {
        while TcpStream::connect(url.trim_start_matches("http://")).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(limit, gone).await.is_ok(), "{url} still responds");
    Ok(())
}
