//! What can go wrong with the rig, each with the way on.

use std::{fmt, io, path::PathBuf};

/// The result of a rig operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the rig could not be installed, or why a peer could not be started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A handle was asked for before the virtual environments were made.
    #[error("rig not built: run `cargo xtask rig`")]
    NotBuilt,
    /// No usable interpreter.
    #[error(
        "no Python 3.10 or newer (tried {tried}): install one (Debian: `apt-get install python3 python3-venv`) \
         or name it in VALETKEY_RIG_PYTHON, then run `cargo xtask rig` again"
    )]
    NoPython {
        /// The programs that were tried.
        tried: String,
    },
    /// The interpreter cannot make virtual environments.
    #[error(
        "{python} cannot make virtual environments: install its venv module \
         (Debian: `apt-get install python3-venv`), then run `cargo xtask rig` again\n{output}"
    )]
    NoVenvModule {
        /// The interpreter.
        python: String,
        /// What it said.
        output: String,
    },
    /// The package installer failed.
    #[error(
        "pip could not install {requirements}: check the network and the package index, then run `cargo xtask rig` again\n{output}"
    )]
    Pip {
        /// The requirements file.
        requirements: String,
        /// The end of what pip said.
        output: String,
    },
    /// The JavaScript package installer failed.
    #[error(
        "npm could not install the JavaScript packages of the rig: check the network and the package index, then run `cargo xtask rig` again\n{output}"
    )]
    Npm {
        /// The end of npm's output.
        output: String,
    },
    /// uv could not fetch a Python program.
    #[error(
        "uv could not fetch `mcp-server-time`: check the network and the package index, then run `cargo xtask rig` again\n{output}"
    )]
    Uv {
        /// The end of uv's output.
        output: String,
    },
    /// There is no Docker client.
    #[error(
        "no Docker client: install one (Debian: `apt-get install docker-cli`, or `docker.io` before Debian 13)"
    )]
    NoDocker,
    /// There is no Chromium.
    #[error("no Chromium: install one (Debian: `apt-get install chromium`; Chrome will do)")]
    NoChromium,
    /// There is no Go compiler, or no AWS SDK for it.
    #[error(
        "no Go with the AWS SDK: install both (Debian: `apt-get install golang-go golang-github-aws-aws-sdk-go-v2-dev`)"
    )]
    NoGo,
    /// There is no Java compiler, or no logging API for its SDK.
    #[error(
        "no JDK with slf4j: install both (Debian: `apt-get install default-jdk-headless libslf4j-java`), then run `cargo xtask rig`"
    )]
    NoJava,
    /// There is no such load balancer.
    #[error("no such load balancer: install both (Debian: `apt-get install nginx-light haproxy`)")]
    NoBalancer,
    /// There is no Redis or Valkey server.
    #[error(
        "no such server: install one (Debian: `apt-get install redis-server`, from Debian 13 also `valkey-server`)"
    )]
    NoRedis,
    /// A peer ended, or did not answer, before it was ready.
    #[error("{peer} did not come up: {reason}; its log is {}\n{tail}", log.display())]
    Start {
        /// The peer.
        peer: &'static str,
        /// What was waited for.
        reason: String,
        /// Where its output went.
        log: PathBuf,
        /// The end of that output.
        tail: String,
    },
    /// A peer answered something that the rig does not understand.
    #[error("{peer} answered {status} to {request}: see its log, or its pinned version in rig/python")]
    Answer {
        /// The peer.
        peer: &'static str,
        /// What it was asked.
        request: String,
        /// The status, or what was wrong with the body.
        status: String,
    },
    /// A script failed or took too long.
    #[error(
        "the script {script} failed ({outcome}); the interpreters are target/rig/main/bin/python and target/rig/node/bin/node\n{output}"
    )]
    Script {
        /// The script, or the first argument.
        script: String,
        /// The exit status, or the time-out.
        outcome: String,
        /// The end of its standard error.
        output: String,
    },
    /// A key could not be generated, or could not sign.
    #[error("no signature: {0}")]
    Key(String),
    /// The file system or the loopback network refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// The message, since a test that returns an error is shown by `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Names what was being done when an I/O error came.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// The last lines of a program's output, for an error message.
pub(crate) fn last_lines(output: &[u8]) -> String {
    const LINES: usize = 15;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
