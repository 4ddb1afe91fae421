//! Moto: up, lenient, strict on request.

use valetkey_rig::{Moto, Result};

use super::{caller, stranger};

const ANYBODY: &str = "arn:aws:sts::123456789012:user/moto";

#[tokio::test]
async fn moto_believes_any_key_until_auth_is_on() -> Result<()> {
    let moto = Moto::start().await?;
    assert_eq!(caller(&moto.url(), &stranger()).await?, ANYBODY);

    moto.auth(true).await?;
    assert_eq!(caller(&moto.url(), &stranger()).await?, "InvalidClientTokenId");

    moto.auth(false).await?;
    moto.reset().await?;
    assert_eq!(caller(&moto.url(), &stranger()).await?, ANYBODY);
    moto.stop().await
}

#[tokio::test]
async fn two_peers_do_not_share_a_port() -> Result<()> {
    let (one, other) = tokio::try_join!(Moto::start(), Moto::start())?;
    assert_ne!(one.url(), other.url());
    one.stop().await?;
    other.stop().await
}
