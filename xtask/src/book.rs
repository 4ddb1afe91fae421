//! `cargo xtask book`: builds the book with mdBook, from the documents of the repository.
//!
//! The pages are copied with their folders, so that links between them work in the book as they do in the repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, XtaskError, tidy, workspace_root};

/// The folder of the book, in `target`: its settings, its sources and its pages.
const BOOK: &str = "target/book";
const INSTALL: &str = "mdbook build; `cargo install --locked mdbook` installs it";

/// Copies the documents and builds the book in `target/book/html`.
pub fn run() -> Result<()> {
    let root = workspace_root();
    let book = root.join(BOOK);
    copy_documents(&root, &book)?;
    let status = Command::new("mdbook").arg("build").arg(&book).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(XtaskError::CommandFailed { command: "mdbook build".to_owned(), status }),
        Err(source) => Err(XtaskError::CommandNotStarted { command: INSTALL.to_owned(), source }),
    }
}

/// Writes `book.toml`, the documents of the root folder and of `docs`, and the summary with links from the root folder.
fn copy_documents(root: &Path, book: &Path) -> Result<()> {
    let source = book.join("src");
    let _absent = fs::remove_dir_all(book);
    copy_folder(root, &source, &|path| path.extension().is_some_and(|extension| extension == "md"))?;
    copy_tree(&root.join("docs"), &source.join("docs"))?;
    copy_file(&root.join("docs/book.toml"), &book.join("book.toml"))?;
    let summary = root.join("docs/SUMMARY.md");
    let text =
        fs::read_to_string(&summary).map_err(|error| XtaskError::read_failed(summary.display(), &error))?;
    write(&source.join("SUMMARY.md"), &tidy::rebase_links("docs/SUMMARY.md", &text))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    copy_folder(from, to, &|path| path.extension().is_none_or(|extension| extension != "txt"))?;
    let is_folder = |path: &PathBuf| path.is_dir();
    entries(from)?
        .into_iter()
        .filter(is_folder)
        .try_for_each(|folder| copy_tree(&folder, &to.join(folder.file_name().unwrap_or_default())))
}

/// Copies the files of a folder that `is_part` selects.
fn copy_folder(from: &Path, to: &Path, is_part: &dyn Fn(&Path) -> bool) -> Result<()> {
    let files = entries(from)?.into_iter().filter(|path| path.is_file() && is_part(path));
    files.into_iter().try_for_each(|file| copy_file(&file, &to.join(file.file_name().unwrap_or_default())))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| XtaskError::read_failed(folder.display(), &error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).map_err(|error| XtaskError::read_failed(from.display(), &error))?;
    write(to, &bytes)
}

fn write(path: &Path, content: &(impl AsRef<[u8]> + ?Sized)) -> Result<()> {
    let failed = |error| XtaskError::write_failed(path.display(), &error);
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
    fs::write(path, content).map_err(failed)
}
