//! A discovered settings file: its effects without consent, and how a user consents.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::exec::fixture_with_keys;
use crate::program_fixture::{CONTROL_CHARACTERS, ProgramFixture, ProgramOutput};

const PROGRAM_SETTINGS: &str = "[accounts.default]\nprovider = 'process'\ncommand = 'touch ran'\n";
const EXEC: [&str; 3] = ["exec", "--", "true"];

fn fixture_with_discovered(text: &str) -> ProgramFixture {
    fixture_with_keys().discovered_file("valetkey.toml", text)
}

fn program_ran(fixture: &ProgramFixture) -> bool {
    fixture.file_names().contains(&"ran".to_owned())
}

fn assert_refused(output: &ProgramOutput, words: &str) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""), "{}", output.stderr);
    assert!(output.stderr.starts_with("error: valetkey.toml: "), "{}", output.stderr);
    assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
}

#[tokio::test]
async fn discovered_settings_running_program_need_consent() {
    let fixture = fixture_with_discovered(PROGRAM_SETTINGS);
    for command in [&EXEC[..], &["credential-process"], &["serve"], &["check", "--live"]] {
        let output = fixture.run(command).await;
        assert_refused(
            &output,
            "was found in this folder and is not trusted: it runs a program for the account `default`",
        );
        for remedy in ["(line 1)", "`--config valetkey.toml`", "`valetkey trust`"] {
            assert!(output.stderr.contains(remedy), "{remedy}: {}", output.stderr);
        }
    }
    assert!(!program_ran(&fixture));
    assert_eq!(fixture.run(&["check"]).await.code, Some(0), "checking runs nothing");
    fixture.run(&["exec", "--config", "valetkey.toml", "--", "true"]).await;
    assert!(program_ran(&fixture));
    let named = fixture_with_discovered(PROGRAM_SETTINGS).env("VALETKEY_CONFIG", "valetkey.toml");
    named.run(&EXEC).await;
    assert!(program_ran(&named));
}

/// Runs `valetkey` in `folder`, which is made first.
async fn run_in(fixture: &ProgramFixture, folder: &str, arguments: &str) -> ProgramOutput {
    let program = env!("CARGO_BIN_EXE_valetkey");
    let script = format!("mkdir -p '{folder}' && cd '{folder}' && exec '{program}' {arguments}");
    fixture.run_program("sh", &["-c", &script]).await
}

#[tokio::test]
async fn settings_above_folder_are_found_in_repository() {
    let fixture = fixture_with_discovered(PROGRAM_SETTINGS);
    let outside = run_in(&fixture, "project/deep", "list").await;
    assert_eq!(outside.code, Some(2), "a folder above that is not in the repository: {outside:?}");
    fs::create_dir(fixture.path(".git")).unwrap();
    let inside = run_in(&fixture, "project/deep", "list").await;
    assert!(inside.stdout.contains("default"), "{inside:?}");
    let refused = run_in(&fixture, "project/deep", "exec -- true").await;
    let path = fixture.path("valetkey.toml").canonicalize().unwrap();
    let words = format!("error: {}: was found and is not trusted", path.display());
    assert!(refused.code == Some(78) && refused.stderr.starts_with(&words), "{refused:?}");
    assert!(!program_ran(&fixture));
    let trusted = run_in(&fixture, "project/deep", "trust").await;
    assert!(trusted.code == Some(0) && trusted.stdout.contains(path.to_str().unwrap()), "{trusted:?}");
    run_in(&fixture, "project/deep", "exec -- true").await;
    assert!(fs::exists(fixture.path("project/deep/ran")).unwrap() || program_ran(&fixture));
    // A repository inside has a root of its own.
    fs::create_dir_all(fixture.path("project/.git")).unwrap();
    assert_eq!(run_in(&fixture, "project/deep", "list").await.code, Some(2));
}

#[tokio::test]
async fn settings_of_user_are_found_last_and_need_consent() {
    let fixture = fixture_with_keys();
    let folder = fixture.path(".config/valetkey");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("valetkey.toml"), PROGRAM_SETTINGS).unwrap();
    assert!(run_in(&fixture, "anywhere", "list").await.stdout.contains("default"));
    let refused = run_in(&fixture, "anywhere", "exec -- true").await;
    assert!(refused.code == Some(78) && refused.stderr.contains("is not trusted"), "{refused:?}");
    fs::write(fixture.path("anywhere/valetkey.toml"), "[accounts.nearer]\nprovider = 'memory'\n").unwrap();
    assert!(run_in(&fixture, "anywhere", "list").await.stdout.contains("nearer"));
}

#[tokio::test]
async fn discovered_settings_using_host_need_consent() {
    for (settings, words) in [
        (
            "[accounts.a]\nprovider = 'environment'\n",
            "uses the AWS keys of this environment for the account `a`",
        ),
        ("[accounts.a]\nprovider = 'ambient'\n", "uses the AWS identity of this machine"),
        ("[accounts.a]\nprovider = 'profile'\nname = 'x'\n", "uses a profile of your AWS files"),
        (
            "[accounts.a]\nprovider = 'web-identity'\nregion = 'eu-central-1'\ntoken_file = '/etc/passwd'\n\
             role_arn = 'arn:aws:iam::111111111111:role/agent'\n",
            "sends an identity token from a file to AWS",
        ),
        ("[audit]\nfile = '.profile'\n", "writes audit records to a file (line 2)"),
    ] {
        let fixture = fixture_with_discovered(settings);
        assert_refused(&fixture.run(&EXEC).await, words);
        assert_eq!(fixture.file_names(), ["valetkey.toml"], "{settings}");
    }
}

#[tokio::test]
async fn discovered_settings_with_memory_only_need_no_consent() {
    let output =
        fixture_with_discovered("[accounts.a]\nprovider = 'memory'\n").run(&["check", "--live"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

#[tokio::test]
async fn trusted_settings_are_used_until_changed() {
    let fixture = fixture_with_discovered(PROGRAM_SETTINGS);
    let trusted = fixture.run(&["trust"]).await;
    assert_eq!((trusted.code, trusted.stderr.as_str()), (Some(0), ""));
    assert!(trusted.stdout.contains("it runs a program for the account `default`"), "{}", trusted.stdout);
    fixture.run(&EXEC).await;
    assert!(program_ran(&fixture));

    let changed =
        fixture.discovered_file("valetkey.toml", PROGRAM_SETTINGS.replace("touch ran", "touch again"));
    assert_refused(&changed.run(&EXEC).await, "has changed since it was trusted: it runs a program");
    assert!(!changed.file_names().contains(&"again".to_owned()));

    let back = changed.discovered_file("valetkey.toml", PROGRAM_SETTINGS);
    fs::remove_file(back.path("ran")).unwrap();
    back.run(&EXEC).await;
    assert!(program_ran(&back), "the trusted version");
    let revoked = back.run(&["trust", "--revoke"]).await;
    assert_eq!(revoked.stdout, "valetkey.toml: no longer trusted\n");
    assert_refused(&back.run(&EXEC).await, "is not trusted");
    assert!(back.run(&["trust", "--revoke"]).await.stdout.contains("was not trusted"));

    assert_eq!(back.run(&["trust"]).await.code, Some(0));
    fs::remove_file(back.path("valetkey.toml")).unwrap();
    assert_eq!(back.run(&["trust", "--revoke"]).await.stdout, "valetkey.toml: no longer trusted\n");
}

#[tokio::test]
async fn trust_decision_writable_by_others_is_ignored() {
    let fixture = fixture_with_discovered(PROGRAM_SETTINGS);
    assert_eq!(fixture.run(&["trust", "valetkey.toml"]).await.code, Some(0));
    let folder = fixture.path(".local/state/valetkey/trust");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let decision = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(&decision).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&decision, Permissions::from_mode(0o666)).unwrap();
    assert_refused(&fixture.run(&EXEC).await, "is not trusted");
}

#[tokio::test]
async fn discovered_settings_writable_by_others_fail() {
    let fixture = fixture_with_discovered("[accounts.a]\nprovider = 'memory'\n");
    fs::set_permissions(fixture.path("valetkey.toml"), Permissions::from_mode(0o666)).unwrap();
    for command in [&EXEC[..], &["check"], &["serve"], &["trust"]] {
        assert_refused(&fixture.run(command).await, "can be changed by every user of this machine");
    }
    fs::set_permissions(fixture.path("valetkey.toml"), Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(fixture.path(""), Permissions::from_mode(0o777)).unwrap();
    for command in [&["check"][..], &["trust"]] {
        assert_refused(&fixture.run(command).await, "lies in a folder that can be changed by every user");
    }
}

#[tokio::test]
async fn trust_with_control_characters_escapes_them() {
    let name = format!("a{CONTROL_CHARACTERS}.toml");
    let text = "[accounts.\"b\\u001B[2J\\u0007\\r\\u009B\\u202E\"]\nprovider = 'process'\ncommand = 'true'\n";
    let fixture = fixture_with_keys().discovered_file(&name, text);
    let escaped = r"a\u{1b}[2J\u{7}\u{d}\u{9b}\u{202e}.toml: ";
    let trusted = fixture.run(&["trust", &name]).await;
    assert_eq!(trusted.code, Some(0), "{trusted:?}");
    assert!(trusted.stdout.starts_with(&format!("{escaped}trusted")), "{}", trusted.stdout);
    let account = r"for the account `b\u{1b}[2J\u{7}\r\u{9b}\u{202e}`";
    assert!(trusted.stdout.contains(account), "{}", trusted.stdout);
    let revoked = fixture.run(&["trust", "--revoke", &name]).await;
    assert_eq!(revoked.stdout, format!("{escaped}no longer trusted\n"));
    fs::write(fixture.path(&name), "canary").unwrap();
    let refused = fixture.run(&["trust", &name]).await;
    assert!(refused.stderr.starts_with(r"error: a\u{1b}[2J"), "{}", refused.stderr);
    for output in [trusted, revoked, refused] {
        output.assert_printable();
    }
}

#[tokio::test]
async fn trust_invalid_settings_fails() {
    let fixture = fixture_with_discovered("[accounts.a]\nprovider = 'canary'\n");
    let output = fixture.run(&["trust"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(78), ""));
    assert!(
        output.stderr.contains("valetkey.toml:2: ") && !output.stderr.contains("canary"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn settings_in_use_are_logged_at_info() {
    let fixture = fixture_with_discovered("[accounts.a]\nprovider = 'memory'\n");
    let output = fixture.run(&["--log", "info", "check"]).await;
    assert!(output.stderr.contains("file=valetkey.toml found=true"), "{}", output.stderr);
}
