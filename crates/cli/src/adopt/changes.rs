//! `Changes`: writes new versions of files atomically, and removes them again if one of them cannot be written.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The bits of a mode that other users do not get for a new file.
const OWNER_ONLY: u32 = 0o700;

/// A change of a client's file, and the files that come with it.
#[derive(Debug)]
pub(super) struct Changes {
    /// The client's file and its present text. Another text is not replaced.
    pub(super) client: PathBuf,
    pub(super) before: String,
    pub(super) after: String,
    /// The files that must not exist yet, with their texts.
    pub(super) added: Vec<(PathBuf, String)>,
}

impl Changes {
    /// Writes the new files first and the client's file last. If that fails, the new files are removed, and the
    /// client's file is as it was.
    pub(super) fn apply(&self) -> Result<(), String> {
        let mode = fs::metadata(&self.client).map_err(|error| failed(&self.client, &error))?.permissions();
        let mut written = Vec::new();
        let outcome = self.added.iter().try_for_each(|(path, text)| {
            add_file(path, text).map_err(|error| failed(path, &error))?;
            written.push(path);
            Ok(())
        });
        let outcome = outcome.and_then(|()| self.check_unchanged()).and_then(|()| {
            replace_file(&self.client, &self.after, mode).map_err(|error| failed(&self.client, &error))
        });
        if outcome.is_err() {
            // The first error is the one to report.
            written.into_iter().for_each(|path| drop(fs::remove_file(path)));
        }
        outcome
    }

    /// Clients write their files too, while this program runs.
    fn check_unchanged(&self) -> Result<(), String> {
        match fs::read(&self.client) {
            Ok(bytes) if bytes == self.before.as_bytes() => Ok(()),
            Ok(_) => Err(format!("{} has just been changed; try again", self.client.display())),
            Err(error) => Err(failed(&self.client, &error)),
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}; nothing was changed", path.display())
}

/// Creates a file that only the user can read, because a client's file may contain secrets.
fn add_file(path: &Path, text: &str) -> io::Result<()> {
    let file = write_temporary(path, text)?;
    file.as_file().set_permissions(Permissions::from_mode(OWNER_ONLY & 0o600))?;
    file.persist_noclobber(path)?;
    sync_folder(path)
}

fn replace_file(path: &Path, text: &str, permissions: Permissions) -> io::Result<()> {
    let file = write_temporary(path, text)?;
    file.as_file().set_permissions(permissions)?;
    file.persist(path)?;
    sync_folder(path)
}

fn write_temporary(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder_of(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(folder: &Path) -> Changes {
        let client = folder.join("client.json");
        fs::write(&client, "before").unwrap();
        fs::set_permissions(&client, Permissions::from_mode(0o640)).unwrap();
        let added = ["a", "b"].map(|name| (folder.join(name), name.to_owned())).into();
        Changes { client, before: "before".to_owned(), after: "after".to_owned(), added }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn apply_writes_all_files_and_keeps_mode() {
        let folder = tempfile::tempdir().unwrap();
        let changes = changes(folder.path());
        changes.apply().unwrap();
        assert_eq!(names(folder.path()), ["a", "b", "client.json"]);
        assert_eq!(fs::read_to_string(&changes.client).unwrap(), "after");
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("client.json"), mode("a")), (0o640, 0o600));
    }

    #[test]
    fn apply_failure_leaves_everything_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut changes = changes(folder.path());
        fs::write(folder.path().join("b"), "of the user").unwrap();
        assert!(changes.apply().unwrap_err().contains("nothing was changed"));
        assert_eq!(names(folder.path()), ["b", "client.json"]);
        fs::remove_file(folder.path().join("b")).unwrap();
        changes.before = "of the client, before it changed it".to_owned();
        assert!(changes.apply().unwrap_err().contains("has just been changed"));
        assert_eq!(names(folder.path()), ["client.json"]);
        assert_eq!(fs::read_to_string(&changes.client).unwrap(), "before");
    }
}
