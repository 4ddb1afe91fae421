//! The files for installing the gateway as a service or a container, and the settings that the book shows for them.

use crate::program_fixture::ProgramFixture;

const SERVICE: &str = include_str!("../../../../packaging/valetkey.service");
const CONTAINER: &str = include_str!("../../../../packaging/Containerfile");
const INSTALL: &str = include_str!("../../../../docs/install.md");
const AWS: &str = include_str!("../../../../docs/aws.md");

/// Returns the rest of the line that begins with `start`.
fn line_after<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(start)).unwrap()
}

/// Returns the TOML block of a page that begins with `start`.
fn settings_block<'a>(page: &'a str, start: &str) -> &'a str {
    let mut blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.starts_with(start)).unwrap()
}

#[tokio::test]
async fn service_and_container_start_gateway_with_same_arguments() {
    let service: Vec<&str> = line_after(SERVICE, "ExecStart=/usr/local/bin/valetkey ").split(' ').collect();
    let container: Vec<String> = serde_json::from_str(line_after(CONTAINER, "CMD ")).unwrap();
    assert_eq!(service, container);
    assert_eq!(line_after(CONTAINER, "ENTRYPOINT "), r#"["valetkey"]"#);
    // `--help` is reached only if the arguments before it are known.
    let help = ProgramFixture::new().run(&[&service[..], &["--help"]].concat()).await;
    assert_eq!(help.code, Some(0), "{}", help.combined_output());
    let unknown = ProgramFixture::new().run(&[&service[..], &["--unknown", "--help"]].concat()).await;
    assert_ne!(unknown.code, Some(0), "{}", unknown.stdout);
}

#[tokio::test]
async fn settings_of_install_and_aws_pages_have_no_errors() {
    for (page, start) in [(INSTALL, "[accounts.task]"), (AWS, "[session]\nattribution")] {
        let fixture = ProgramFixture::new().file("valetkey.toml", settings_block(page, start));
        let output = fixture.run(&["check", "--config", "valetkey.toml"]).await;
        assert_eq!(output.code, Some(0), "{start}: {}", output.combined_output());
    }
}
