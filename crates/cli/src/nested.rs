//! Detects servers that are this program's own gateway, which would start itself recursively.

use std::path::{Path, PathBuf};

use valetkey::mcp::McpConfig;
use valetkey::mcp::child::GATEWAY_MARKER;

/// The remedy for a server that is a gateway.
pub(crate) const REMEDY: &str = "runs `valetkey serve`, and so this gateway again; take this server out of the file, and list it only with the client";

/// Whether a gateway started this process, as a server or through one.
pub(crate) fn is_inside_gateway() -> bool {
    std::env::var_os(GATEWAY_MARKER).is_some_and(|session| !session.is_empty())
}

/// Returns the names of the servers that are a gateway.
pub(crate) fn gateway_servers(config: &McpConfig) -> Vec<String> {
    let this = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let servers = config.servers.iter().filter(|(_, server)| {
        let words = std::iter::once(server.command.as_str()).chain(server.args.iter().map(String::as_str));
        runs_serve(words, this.as_deref())
    });
    servers.map(|(name, _)| name.clone()).collect()
}

/// Whether a command line runs this program's `serve`, also through another program or a shell.
fn runs_serve<'a>(words: impl Iterator<Item = &'a str>, this: Option<&Path>) -> bool {
    let mut words = words.flat_map(str::split_whitespace);
    words.any(|word| is_this_program(word, this)) && words.any(|word| word == "serve")
}

fn is_this_program(word: &str, this: Option<&Path>) -> bool {
    let path = Path::new(word);
    let is_named_valetkey = path.file_name().is_some_and(|name| name == "valetkey");
    is_named_valetkey || resolve_command(path).is_some_and(|path| Some(path.as_path()) == this)
}

/// Resolves a command to a file, as a path or through `PATH`.
fn resolve_command(word: &Path) -> Option<PathBuf> {
    if word.components().nth(1).is_some() || word.is_absolute() {
        return word.canonicalize().ok();
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| folder.join(word).canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_serve_behind_wrapper_or_link_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let this = folder.path().canonicalize().unwrap().join("this");
        std::fs::write(&this, "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&this, &link).unwrap();
        let link = link.to_str().unwrap();
        for (words, expected) in [
            (&["valetkey", "serve"][..], true),
            (&["/usr/bin/valetkey", "--log", "info", "serve"], true),
            (&["env", "A=b", "valetkey", "serve"], true),
            (&["sh", "-c", "exec valetkey serve --mcp-config x"], true),
            (&[link, "serve"], true),
            (&["valetkey", "exec", "--", "aws"], false),
            (&["python3", "serve", "valetkey"], false),
            (&["valetkey-notes", "serve"], false),
        ] {
            assert_eq!(runs_serve(words.iter().copied(), Some(&this)), expected, "{words:?}");
        }
    }
}
