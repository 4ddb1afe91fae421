//! `Workspace`: the files that the rules check, which are those that are, or would be, under version control.

use std::{collections::HashSet, fs, path::Path, process::Command};

use super::{
    Violation,
    manifest::Manifest,
    source::{FileKind, SourceFile},
};
use crate::{Result, XtaskError};

/// The files of the repository, with the Rust files and manifests parsed.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) sources: Vec<SourceFile>,
    pub(crate) manifests: Vec<Manifest>,
    unreadable: Vec<Violation>,
    /// The files that are no text.
    binary_files: Vec<String>,
}

impl Workspace {
    /// Reads the checkout at `root`: tracked files, and new files that are not ignored.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
        let output = Command::new("git").args(list).current_dir(root).output();
        let output = output
            .map_err(|source| XtaskError::CommandNotStarted { command: "git ls-files".to_owned(), source })?;
        if !output.status.success() {
            return Err(XtaskError::CommandFailed {
                command: "git ls-files".to_owned(),
                status: output.status,
            });
        }
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: HashSet<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
        // Tracked files that are deleted but not yet committed are not checked. Of binary files, only the names are.
        let names = names.into_iter().filter(|name| root.join(name).is_file());
        let (texts, binary_files): (Vec<_>, Vec<_>) = names
            .map(|name| (name.to_owned(), fs::read_to_string(root.join(name))))
            .partition(|(_, text)| text.is_ok());
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.ok()?)));
        let binary_files = binary_files.into_iter().map(|(name, _)| name).collect();
        Ok(Self { binary_files, ..Self::from_files(texts) })
    }

    /// Creates a workspace of these files: path and text.
    pub(crate) fn from_files(
        files: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let mut workspace = Self::default();
        for (path, text) in files {
            workspace.add(path.into(), text.into());
        }
        workspace.mark_test_files();
        workspace
    }

    /// Returns the sources of one kind.
    pub(crate) fn sources_of_kind(&self, kind: FileKind) -> impl Iterator<Item = &SourceFile> {
        self.sources.iter().filter(move |source| source.kind == kind)
    }

    /// Whether the workspace has this file or folder.
    pub(crate) fn contains_path(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let files = self.files.iter().map(|(file, _)| file).chain(&self.binary_files);
        files.into_iter().any(|file| file == path || file.starts_with(&folder))
    }

    /// Returns the files that could not be parsed.
    pub(crate) fn unparsable(&self) -> Vec<Violation> {
        self.unreadable.clone()
    }

    fn add(&mut self, path: String, text: String) {
        if path.ends_with(".rs") {
            match SourceFile::parse(&path, &text) {
                Ok(source) => self.sources.push(source),
                Err(violation) => self.unreadable.push(violation),
            }
        } else if path.ends_with("Cargo.toml") {
            match Manifest::parse(&path, &text) {
                Ok(manifest) => self.manifests.push(manifest),
                Err(violation) => self.unreadable.push(violation),
            }
        }
        self.files.push((path, text));
    }

    /// Marks the file that `#[cfg(test)] mod tests;` refers to as a test.
    fn mark_test_files(&mut self) {
        let folders: Vec<String> = self.sources.iter().flat_map(SourceFile::test_modules).collect();
        for source in &mut self.sources {
            let stem = source.path.trim_end_matches(".rs");
            if folders.iter().any(|folder| stem == folder || stem.starts_with(&format!("{folder}/"))) {
                source.kind = FileKind::Test;
            }
        }
    }
}
