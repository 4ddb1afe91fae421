//! The virtual environments: where they are, and whether they hold what the requirements files specify.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Error, Result, packages};

/// One of the rig's virtual environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Venv {
    /// Moto, boto3, the AWS CLI, an MCP client and a real MCP server.
    Main,
    /// The stricter emulator, apart because it pins its own botocore.
    MiniStack,
    /// The newest botocore, whose published service models are the reference for wire formats.
    Botocore,
    /// Node.js with the JavaScript packages of `rig/node`, and the package runners npm, bun, yarn and uv.
    Node,
    /// The second generation of the official MCP SDKs, with the JavaScript packages of `rig/clients`.
    Clients,
    /// The AWS SDK for JavaScript, with the packages of `rig/sdks`.
    Sdks,
    /// LangGraph with LangChain's adapters for MCP, and servers that agents call, most of them for AWS.
    Workflow,
    /// The OpenAI Agents SDK and Strands, as clients of the gateway; the SDK of Anthropic, as a client of Bedrock.
    Agents,
    /// The official Prometheus client, whose parser reads metrics as Prometheus does.
    Metrics,
    /// Clients for S3 that sign requests by themselves, the SDKs for C++ and for asynchronous Python, and the C runtime of
    /// the SDKs.
    Storage,
    /// An archive with the AWS SDK for Java. Installed where Java is.
    Java,
    /// Gateways that the benchmark compares with valetkey.
    Proxies,
}

impl Venv {
    /// Those that tests need. Node.js comes before the environments whose JavaScript packages it installs.
    pub const ALL: [Self; 11] = [
        Self::Main,
        Self::MiniStack,
        Self::Botocore,
        Self::Node,
        Self::Clients,
        Self::Sdks,
        Self::Workflow,
        Self::Agents,
        Self::Metrics,
        Self::Storage,
        Self::Java,
    ];

    /// Its name: the folder under `target/rig`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::MiniStack => "ministack",
            Self::Botocore => "botocore",
            Self::Node => "node",
            Self::Clients => "clients",
            Self::Sdks => "sdks",
            Self::Workflow => "workflow",
            Self::Agents => "agents",
            Self::Metrics => "metrics",
            Self::Storage => "storage",
            Self::Java => "java",
            Self::Proxies => "proxies",
        }
    }

    /// Its folder.
    pub fn path(self) -> PathBuf {
        rig_dir().join(self.name())
    }

    /// A program in it, or [`Error::NotBuilt`].
    pub fn program(self, name: &str) -> Result<PathBuf> {
        let program = self.path().join("bin").join(name);
        if self.is_built() && program.exists() { Ok(program) } else { Err(Error::NotBuilt) }
    }

    /// Whether it holds exactly what the requirements files ask for now.
    pub fn is_built(self) -> bool {
        let stamp = fs::read_to_string(self.stamp_path()).unwrap_or_default();
        self.path().join("bin/python").exists() && self.fingerprint().is_ok_and(|wanted| wanted == stamp)
    }

    pub(crate) fn requirements_path(self) -> PathBuf {
        scripts_dir().join(self.name()).with_extension("txt")
    }

    pub(crate) fn stamp_path(self) -> PathBuf {
        self.path().join("built-from.txt")
    }

    /// All that decides what is installed. The path is part of it: a moved environment has broken launchers.
    pub(crate) fn fingerprint(self) -> Result<String> {
        let mut text = format!("{}\n", self.path().display());
        let mut files = vec![self.requirements_path(), scripts_dir().join("constraints.txt")];
        files.extend(packages::manifests(self));
        for file in files {
            let doing = format!("reading {}", file.display());
            text += &fs::read_to_string(file).map_err(Error::io(doing))?;
        }
        Ok(text)
    }
}

/// The path of a program in the main environment, such as `aws` or `awslabs.aws-api-mcp-server`.
pub fn program(name: &str) -> Result<PathBuf> {
    Venv::Main.program(name)
}

/// The folder that cargo builds the workspace in.
pub fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    workspace.join(target)
}

/// The folder that everything the rig makes is under.
pub(crate) fn rig_dir() -> PathBuf {
    target_dir().join("rig")
}

/// The folder of the rig's own scripts and requirements files.
pub(crate) fn scripts_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}
