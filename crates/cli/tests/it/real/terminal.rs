//! Output on a terminal: prompts, and no secrets.

use valetkey_rig::Script;

use super::python_script;
use crate::program_fixture::{CONTROL_CHARACTERS, ProgramFixture};

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret")];

/// Returns the output of `credential-process`, on a terminal or without one.
async fn run_credential_process(mode: &str) -> String {
    let program = [mode, "", env!("CARGO_BIN_EXE_valetkey"), "credential-process"];
    let run = program.into_iter().fold(Script::new(python_script("terminal.py")), Script::arg);
    run.envs(KEYS).run().await.unwrap()
}

#[tokio::test]
async fn credential_process_on_terminal_prints_nothing() {
    let piped = run_credential_process("--none").await;
    assert!(piped.contains("not-a-real-secret") && piped.contains("exit 0"), "{piped}");
    let refused = run_credential_process("--terminal").await;
    assert!(refused.contains("this is a terminal") && refused.contains("exit 1"), "{refused}");
    assert!(!refused.contains("not-a-real-secret") && !refused.contains("AKIAIOSFODNN7EXAMPLE"), "{refused}");
}

#[tokio::test]
async fn serve_on_terminal_prints_hint() {
    // The program ends with its input, which is the reply to the prompt.
    let line = format!("echo '[y/N] '; exec {} serve </dev/tty", env!("CARGO_BIN_EXE_valetkey"));
    let program = ["--terminal", "\u{4}", "/bin/sh", "-c", &line];
    let run = program.into_iter().fold(Script::new(python_script("terminal.py")), Script::arg);
    let output = run.run().await.unwrap();
    assert!(output.contains("register this command with an MCP client"), "{output}");
}

/// Runs in a folder with a discovered settings file, where `typed` is the reply to each prompt. Returns the output of
/// the terminal, and whether the program ran.
async fn run_with_discovered_settings(fixture: &ProgramFixture, mode: &str, typed: &str) -> (String, bool) {
    let folder = fixture.path("");
    let line = format!("cd {} && exec {} exec -- true", folder.display(), env!("CARGO_BIN_EXE_valetkey"));
    let program = [mode, typed, "/bin/sh", "-c", &line];
    let run = program.into_iter().fold(Script::new(python_script("terminal.py")), Script::arg);
    let home = [("HOME", folder.to_str().unwrap()), ("XDG_STATE_HOME", "")];
    let output = run.envs(home).run().await.unwrap();
    (output, fixture.file_names().contains(&"ran".to_owned()))
}

#[tokio::test]
async fn exec_discovered_settings_prompt_once() {
    let program = "[accounts.default]\nprovider = 'process'\ncommand = 'touch ran'\n";
    let fixture = ProgramFixture::new().discovered_file("valetkey.toml", program);
    for (mode, typed) in [("--none", "y"), ("--terminal", "n"), ("--terminal", "")] {
        let (output, ran) = run_with_discovered_settings(&fixture, mode, typed).await;
        assert!(
            !ran && output.contains("is not trusted: it runs a program") && output.contains("exit 78"),
            "{output}"
        );
    }
    let (output, ran) = run_with_discovered_settings(&fixture, "--terminal", "y").await;
    assert!(ran && output.contains("Trust this version of it? [y/N]"), "{output}");
    let (output, _) = run_with_discovered_settings(&fixture, "--terminal", "n").await;
    assert!(!output.contains("Trust this version"), "{output}");
}

#[tokio::test]
async fn exec_in_a_folder_with_control_characters_escapes_them() {
    let fixture = ProgramFixture::new();
    std::fs::create_dir(fixture.path(CONTROL_CHARACTERS)).unwrap();
    let program = "[accounts.default]\nprovider = 'process'\ncommand = 'touch ran'\n";
    let fixture = fixture.discovered_file(&format!("{CONTROL_CHARACTERS}/valetkey.toml"), program);
    let home = fixture.path("");
    let folder = fixture.path(CONTROL_CHARACTERS);
    let line = format!("cd '{}' && exec {} exec -- true", folder.display(), env!("CARGO_BIN_EXE_valetkey"));
    let program = ["--terminal", "n", "/bin/sh", "-c", &line];
    let run = program.into_iter().fold(Script::new(python_script("terminal.py")), Script::arg);
    let output = run.envs([("HOME", home.to_str().unwrap()), ("XDG_STATE_HOME", "")]).run().await.unwrap();
    assert!(output.contains(r"\u{1b}[2J\u{7}\u{d}\u{9b}\u{202e}/valetkey.toml was found"), "{output:?}");
    // What follows is in color.
    let (question, _) = output.split_once("[y/N] ").unwrap();
    assert!(!question.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{output:?}");
}
