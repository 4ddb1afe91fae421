//! What is not for a terminal.

use valetkey_rig::Script;

use super::script;

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret")];

/// What `credential-process` shows, on a terminal or without one.
async fn shown(mode: &str) -> String {
    let program = [mode, "", env!("CARGO_BIN_EXE_valetkey"), "credential-process"];
    let run = program.into_iter().fold(Script::new(script("terminal.py")), Script::arg);
    run.envs(KEYS).run().await.unwrap()
}

#[tokio::test]
async fn a_set_is_printed_for_a_program_and_not_on_a_terminal() {
    let piped = shown("--none").await;
    assert!(piped.contains("not-a-real-secret") && piped.contains("exit 0"), "{piped}");
    let refused = shown("--terminal").await;
    assert!(refused.contains("this is a terminal") && refused.contains("exit 1"), "{refused}");
    assert!(!refused.contains("not-a-real-secret") && !refused.contains("AKIAIOSFODNN7EXAMPLE"), "{refused}");
}
