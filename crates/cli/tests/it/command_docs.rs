//! Completions, manual pages and help.

use crate::program_fixture::ProgramFixture;

#[tokio::test]
async fn completions_of_each_shell_name_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = ProgramFixture::new().run(&["completions", shell]).await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["adopt", "credential-process", "mcp-config"] {
            assert!(output.stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn completions_of_bash_are_valid_script() {
    let script = ProgramFixture::new().run(&["completions", "bash"]).await.stdout;
    let fixture = ProgramFixture::new().discovered_file("valetkey.bash", script);
    let output = fixture.run_program("bash", &["-n", "valetkey.bash"]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn man_writes_page_for_each_shown_command() {
    let fixture = ProgramFixture::new();
    let output = fixture.run(&["man", "."]).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let names = fixture.file_names();
    for name in ["valetkey.1", "valetkey-adopt.1", "valetkey-exec.1", "valetkey-serve.1"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert!(!names.contains(&"valetkey-launch.1".to_owned()), "{names:?}");
    let page = std::fs::read_to_string(fixture.path("valetkey.1")).unwrap();
    assert!(page.contains("Exit codes"), "{page}");
    let missing = fixture.run(&["man", "missing"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("name a folder that exists"), "{}", missing.stderr);
}

#[tokio::test]
async fn help_has_exit_codes_and_examples() {
    let help = ProgramFixture::new().run(&["--help"]).await.stdout;
    assert!(help.contains("Exit codes: 0 success") && help.contains("\nOutput:\n"), "{help}");
    for command in ["adopt", "check", "completions", "exec", "serve"] {
        let help = ProgramFixture::new().run(&[command, "--help"]).await.stdout;
        assert!(help.contains(&format!("Examples:\n  valetkey {command} ")), "{help}");
    }
}
