//! A quick start of the book, executed word for word: its files are written, and its commands are run.
//!
//! A line of only a file name in backticks and a colon names the file of the next block. The lines after `$ ` in a
//! `console` block are commands; those that follow are their output, in which `…` is any text.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde_json::Value;
use valetkey_local_aws::{LocalAws, RoleSpec, UserSpec};

use crate::program_fixture::{ProgramFixture, ProgramOutput};

/// The role that all quick starts assume.
const ROLE: &str = "arn:aws:iam::111111111111:role/agent";
const KEY: &str = "AKIAQUICKSTART000001";
const SECRET: &str = "secret-of-the-quick-start";

/// A reader's machine: an empty home, `valetkey` on the `PATH`, exported keys, and a local AWS.
pub(crate) struct QuickStartFixture {
    pub(crate) fixture: ProgramFixture,
    aws: LocalAws,
}

/// A fenced block of a page.
struct CodeBlock {
    language: String,
    /// The file that the line before the block names.
    file: Option<String>,
    text: String,
}

impl QuickStartFixture {
    pub(crate) async fn start() -> Self {
        let aws = LocalAws::builder()
            .user(UserSpec::new("999999999999", "reader", KEY, SECRET))
            .role(RoleSpec::new(ROLE).trusts("999999999999"))
            .start()
            .await
            .unwrap();
        let fixture = ProgramFixture::new();
        let path = format!("{}:/usr/bin:/bin", fixture.path("bin").display());
        let fixture = fixture
            .env("PATH", path)
            .env("AWS_ENDPOINT_URL", aws.endpoint_url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        let this = Self { fixture, aws };
        this.install("valetkey", &format!("exec '{}' \"$@\"", env!("CARGO_BIN_EXE_valetkey")));
        this
    }

    /// Puts a program, a shell script, on the `PATH`.
    pub(crate) fn install(&self, name: &str, script: &str) {
        let file = self.fixture.path("bin").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes the files of a page.
    pub(crate) fn write_files(&self, page: &str) {
        for block in code_blocks(page) {
            let Some(file) = block.file else { continue };
            let file = self.fixture.path(&file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, block.text).unwrap();
        }
    }

    /// Runs the commands of a page, checks their output, and returns how many there were.
    pub(crate) async fn run_commands(&self, page: &str) -> usize {
        let mut commands = 0;
        for block in code_blocks(page).into_iter().filter(|block| block.language == "console") {
            let mut lines = block.text.lines().peekable();
            while let Some(command) = lines.next().map(|line| line.strip_prefix("$ ").unwrap()) {
                let expected: Vec<&str> =
                    std::iter::from_fn(|| lines.next_if(|line| !line.starts_with("$ "))).collect();
                let output = self.fixture.run_program("/bin/sh", &["-c", command]).await;
                assert_shows(command, &output, &expected);
                commands += 1;
            }
        }
        commands
    }

    /// Returns the command and the arguments with which an MCP client starts the gateway, from the only entry under
    /// `servers` in a file that a page wrote.
    pub(crate) fn registered_gateway(&self, file: &str, servers: &str) -> Vec<String> {
        let folder = self.fixture.path("");
        let text = fs::read_to_string(self.fixture.path(file)).unwrap();
        let text = text.replace("${workspaceFolder}", folder.to_str().unwrap().trim_end_matches('/'));
        let config: Value = serde_json::from_str(&text).unwrap();
        let entries = config[servers].as_object().unwrap();
        assert_eq!(entries.len(), 1, "{config:#}");
        let entry = entries.values().next().unwrap();
        let args = entry["args"].as_array().unwrap().iter();
        [&entry["command"]].into_iter().chain(args).map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn stop(self) {
        self.aws.stop().await.unwrap();
    }
}

/// Asserts that a command succeeded and printed these lines.
fn assert_shows(command: &str, output: &ProgramOutput, expected: &[&str]) {
    assert_eq!(output.code, Some(0), "`{command}`: {}", output.combined_output());
    let shown: Vec<&str> = output.stdout.lines().collect();
    let equal = shown.len() == expected.len()
        && shown.iter().zip(expected).all(|(shown, expected)| matches_ellipsis(shown, expected));
    assert!(equal, "`{command}` printed {shown:#?}, and the page states {expected:#?}");
}

/// Whether the text equals the pattern, in which each `…` is any text.
fn matches_ellipsis(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

fn code_blocks(page: &str) -> Vec<CodeBlock> {
    let mut blocks: Vec<CodeBlock> = Vec::new();
    let (mut paragraph, mut is_code) = (String::new(), false);
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::Paragraph) => paragraph.clear(),
            Event::Code(text) => paragraph.push_str(&format!("`{text}`")),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let file = paragraph.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:"));
                let file = file.filter(|file| !file.contains('`')).map(str::to_owned);
                blocks.push(CodeBlock { language: language.into_string(), file, text: String::new() });
                is_code = true;
            }
            Event::End(TagEnd::CodeBlock) => (is_code, paragraph) = (false, String::new()),
            Event::Text(text) if is_code => blocks.last_mut().unwrap().text.push_str(&text),
            Event::Text(text) => paragraph.push_str(&text),
            _ => {}
        }
    }
    blocks
}

#[test]
fn ellipsis_matches_any_text_between_parts() {
    for (text, pattern) in
        [("", ""), ("a", "a"), ("a b c", "a…c"), ("a b c", "…"), ("a b c", "…b…"), ("ab", "a…b")]
    {
        assert!(matches_ellipsis(text, pattern), "{text} {pattern}");
    }
    for (text, pattern) in
        [("a", ""), ("", "a"), ("a b", "a"), ("a b c", "a…b"), ("a b", "…b…c"), ("b a", "a…")]
    {
        assert!(!matches_ellipsis(text, pattern), "{text} {pattern}");
    }
}

#[test]
fn code_blocks_have_file_of_line_before() {
    let page = "`a.json`:\n\n```json\n{}\n```\n\nText `b`:\n\n```sh\nx\n```\n\n```console\n$ y\n```\n";
    let blocks: Vec<_> =
        code_blocks(page).into_iter().map(|block| (block.language, block.file, block.text)).collect();
    let block = |language: &str, file: Option<&str>, text: &str| {
        (language.to_owned(), file.map(str::to_owned), text.to_owned())
    };
    let expected =
        [block("json", Some("a.json"), "{}\n"), block("sh", None, "x\n"), block("console", None, "$ y\n")];
    assert_eq!(blocks, expected);
}
