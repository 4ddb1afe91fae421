//! The demo on another AWS than its own.

use valetkey_rig::Moto;

use crate::demo::all_held;
use crate::shell::Shell;

#[tokio::test]
async fn the_demo_holds_on_moto_and_holds_again() {
    let moto = Moto::start().await.unwrap();
    for _ in 0..2 {
        let ended = Shell::new().run(&["demo", "--json", "--aws-endpoint", &moto.url()]).await;
        all_held(&ended);
        assert_eq!(ended.stderr, "");
    }
    moto.stop().await.unwrap();
}
