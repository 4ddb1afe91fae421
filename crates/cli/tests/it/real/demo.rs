//! The demo at an external AWS endpoint.

use valetkey_rig::Moto;

use crate::demo::assert_all_passed;
use crate::shell::Shell;

#[tokio::test]
async fn demo_on_moto_passes_twice() {
    let moto = Moto::start().await.unwrap();
    for _ in 0..2 {
        let ended = Shell::new().run(&["demo", "--json", "--aws-endpoint", &moto.url()]).await;
        assert_all_passed(&ended);
        assert_eq!(ended.stderr, "");
    }
    moto.stop().await.unwrap();
}
