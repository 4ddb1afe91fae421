//! Reads the files that configuration names: regular files of bounded size that other users cannot change.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::{getegid, geteuid};

/// The maximum size of a file. Configuration and policies are a few kilobytes.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The users who may be able to change a file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllowedWriters {
    /// The owner and the group of the file. For files that the user named.
    OwnerAndGroup,
    /// This user and root, also through the folder. For discovered files.
    UserOnly,
}

/// Returns the folder that a variable of the environment names, if its path is absolute.
pub(crate) fn absolute_dir(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Reads a text file.
///
/// # Errors
/// Describes the problem and the remedy, as the end of a sentence that begins with the file.
pub(crate) fn read_text(path: &Path, writers: AllowedWriters) -> Result<String, String> {
    String::from_utf8(read(path, writers)?)
        .map_err(|_| "cannot be read: it is not valid UTF-8; save it as UTF-8".to_owned())
}

/// Reads a file. Refuses a pipe or a device before opening it, because opening a pipe waits for its writer.
pub(crate) fn read(path: &Path, writers: AllowedWriters) -> Result<Vec<u8>, String> {
    check_regular(&std::fs::metadata(path).map_err(|error| read_error(&error))?)?;
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| read_error(&error))?;
    // Checks the opened file, because the path may lead elsewhere by now.
    let metadata = file.metadata().map_err(|error| read_error(&error))?;
    check_regular(&metadata)?;
    check_writers(&FileOwner::from_metadata(&metadata), writers, &ProcessUser::current())?;
    if writers == AllowedWriters::UserOnly {
        check_folder(path)?;
    }
    read_bounded(&file)
}

fn read_bounded(file: &File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| read_error(&error))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= MAX_BYTES => Ok(bytes),
        _ => Err("is larger than 4 MiB; name the right file".to_owned()),
    }
}

/// The owner, group and mode of a file.
#[derive(Debug, Clone, Copy)]
struct FileOwner {
    user: u32,
    group: u32,
    mode: u32,
}

impl FileOwner {
    fn from_metadata(metadata: &Metadata) -> Self {
        Self { user: metadata.uid(), group: metadata.gid(), mode: metadata.mode() }
    }
}

/// The user and group of this process.
#[derive(Debug, Clone, Copy)]
struct ProcessUser {
    id: u32,
    group: u32,
}

impl ProcessUser {
    fn current() -> Self {
        Self { id: geteuid().as_raw(), group: getegid().as_raw() }
    }

    /// Whether the group is private to the user, by the convention of distributions that create a group for each user.
    fn has_private_group(&self, group: u32) -> bool {
        group == self.group && group == self.id
    }
}

fn check_regular(metadata: &Metadata) -> Result<(), String> {
    if metadata.is_file() {
        return Ok(());
    }
    let kind = if metadata.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(format!("is {kind}; name a regular file"))
}

fn check_writers(owner: &FileOwner, writers: AllowedWriters, user: &ProcessUser) -> Result<(), String> {
    if owner.mode & OTHERS_WRITE != 0 {
        return Err("can be changed by every user of this machine; run `chmod o-w` on it".to_owned());
    }
    if writers == AllowedWriters::OwnerAndGroup {
        return Ok(());
    }
    if owner.user != user.id && owner.user != 0 {
        return Err("belongs to another user; name it with `--config` if you trust it".to_owned());
    }
    if owner.mode & GROUP_WRITE != 0 && !user.has_private_group(owner.group) {
        return Err("can be changed by its group; run `chmod g-w` on it".to_owned());
    }
    Ok(())
}

/// Rejects a folder in which another user can create or replace a file of this name.
fn check_folder(path: &Path) -> Result<(), String> {
    let path = path.canonicalize().map_err(|error| read_error(&error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut owner = FileOwner::from_metadata(&folder.metadata().map_err(|error| read_error(&error))?);
    if owner.mode & STICKY != 0 {
        // In a sticky folder such as `/tmp`, other users cannot replace files of this user.
        owner.mode &= !(OTHERS_WRITE | GROUP_WRITE);
    }
    check_writers(&owner, AllowedWriters::UserOnly, &ProcessUser::current())
        .map_err(|what| format!("lies in a folder that {what}"))
}

fn read_error(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "name a file that is there",
        io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "make it readable",
    };
    format!("cannot be read: {error}; {remedy}")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const TEST_USER: ProcessUser = ProcessUser { id: 1000, group: 1000 };

    fn file_owner(user: u32, group: u32, mode: u32) -> FileOwner {
        FileOwner { user, group, mode }
    }

    #[test]
    fn check_writers_discovered_file_writable_by_others_fails() {
        for (owner, allowed) in [
            (file_owner(1000, 1000, 0o644), true),
            (file_owner(0, 0, 0o644), true),
            (file_owner(1000, 1000, 0o664), true),
            (file_owner(1000, 100, 0o664), false),
            (file_owner(1000, 1000, 0o646), false),
            (file_owner(1001, 1001, 0o644), false),
            (file_owner(0, 0, 0o664), false),
        ] {
            let checked = check_writers(&owner, AllowedWriters::UserOnly, &TEST_USER);
            assert_eq!(checked.is_ok(), allowed, "{owner:?}: {checked:?}");
        }
    }

    #[test]
    fn check_writers_named_file_allows_group_but_not_others() {
        assert!(
            check_writers(&file_owner(1001, 100, 0o664), AllowedWriters::OwnerAndGroup, &TEST_USER).is_ok()
        );
        assert!(
            check_writers(&file_owner(1000, 1000, 0o666), AllowedWriters::OwnerAndGroup, &TEST_USER).is_err()
        );
    }

    #[test]
    fn read_pipe_device_or_folder_fails_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), folder.path()] {
            let refused = read(path, AllowedWriters::OwnerAndGroup).unwrap_err();
            assert!(refused.contains("name a regular file"), "{}: {refused}", path.display());
        }
    }

    #[test]
    fn read_file_beyond_max_bytes_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let write = |length: u64| fs::write(&path, vec![b' '; usize::try_from(length).unwrap()]).unwrap();
        write(MAX_BYTES);
        assert!(read(&path, AllowedWriters::UserOnly).is_ok());
        write(MAX_BYTES + 1);
        assert!(read(&path, AllowedWriters::UserOnly).unwrap_err().contains("larger than 4 MiB"));
    }

    #[test]
    fn read_discovered_file_in_writable_folder_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        for (mode, allowed) in [(0o755, true), (0o777, false), (0o1777, true)] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path, AllowedWriters::UserOnly).is_ok(), allowed, "{mode:o}");
        }
    }
}
