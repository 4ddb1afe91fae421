//! The store in a real Valkey.

use valetkey_rig::{Redis, valkey_server};
use valetkey_store::testing;

use super::redis::connect;

#[tokio::test]
async fn valkey_store_meets_the_contract() {
    let server = Redis::start_program(valkey_server().unwrap(), &[]).await.unwrap();
    let store = connect(&server).await;
    assert_eq!(testing::faults(&store).await, [""; 0]);
    server.stop().await.unwrap();
}
