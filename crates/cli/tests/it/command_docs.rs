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
    assert!(help.contains("Exit codes: 0 success") && help.contains("\nGlobal options:\n"), "{help}");
    assert!(!help.contains("\nOptions:\n"), "all of its options are global: {help}");
    for command in ["adopt", "check", "completions", "exec", "serve"] {
        let help = ProgramFixture::new().run(&[command, "--help"]).await.stdout;
        assert!(help.contains(&format!("Examples:\n  valetkey {command} ")), "{help}");
    }
}

#[tokio::test]
async fn help_separates_options_of_command_from_global_ones() {
    for (command, headings) in [
        ("serve", &["Options:", "Configuration:", "Global options:"][..]),
        ("exec", &["Arguments:", "Options:", "Configuration:", "Global options:"]),
        ("check", &["Options:", "Configuration:", "Output:", "Global options:"]),
        ("list", &["Configuration:", "Output:", "Global options:"]),
        ("status", &["Options:", "Output:", "Global options:"]),
        ("credential-process", &["Configuration:", "Global options:"]),
    ] {
        for option in ["-h", "--help"] {
            let help = ProgramFixture::new().run(&[command, option]).await;
            assert_eq!(help.code, Some(0), "{}", help.combined_output());
            let is_heading = |line: &&str| line.ends_with(':') && !line.starts_with([' ', 'E']);
            let shown: Vec<_> = help.stdout.lines().filter(is_heading).collect();
            let is_same =
                shown.len() == headings.len() && headings.iter().all(|heading| shown.contains(heading));
            assert!(is_same && shown.last() == Some(&"Global options:"), "{command}: {shown:?}");
            let global = help.stdout.split("Global options:").nth(1).unwrap();
            assert!(["--color", "--log", "--help", "--version"].iter().all(|name| global.contains(name)));
        }
        let version = ProgramFixture::new().run(&[command, "--version"]).await;
        assert_eq!(version.stdout.trim(), format!("valetkey-{command} {}", env!("CARGO_PKG_VERSION")));
    }
}
