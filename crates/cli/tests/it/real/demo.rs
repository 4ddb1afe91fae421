//! The demo at an external AWS endpoint.

use valetkey_rig::Moto;

use crate::demo::assert_all_passed;
use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn demo_on_moto_passes_twice() {
    let moto = Moto::start().await.unwrap();
    for _ in 0..2 {
        let output = ProgramFixture::new().run(&["demo", "--json", "--aws-endpoint", &moto.url()]).await;
        assert_all_passed(&output);
        assert_eq!(output.stderr, "");
    }
    moto.stop().await.unwrap();
}
