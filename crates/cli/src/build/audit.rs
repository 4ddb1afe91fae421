//! Opens the audit file of the settings for appending, or only checks it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, OFlags, access};
use rustix::process::geteuid;
use valetkey::audit::{AuditSink, JsonLines};

use super::BuildMode;
use crate::settings::{Diagnostic, Settings};

/// The reason why the file cannot be used, and the remedy.
type AuditFileError = String;

/// Opens the audit sink, if the settings have one. With `CheckOnly` the file is only checked and the result is `None`.
pub(crate) fn open_sink(
    settings: &Settings,
    mode: BuildMode,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Arc<dyn AuditSink>> {
    let path = &settings.audit.as_ref()?.file;
    let sink = match mode {
        BuildMode::CheckOnly => check_writable(path).map(|()| None),
        BuildMode::Run => open_file(path, true).and_then(|file| json_lines_sink(file).map(Some)),
    };
    sink.unwrap_or_else(|refusal| {
        diagnostics.push(settings.diagnostic(&["audit", "file"], refusal));
        None
    })
}

fn json_lines_sink(mut file: File) -> Result<Arc<dyn AuditSink>, AuditFileError> {
    let torn = has_torn_last_line(&mut file).map_err(|error| write_error(&error))?;
    Ok(if torn { Arc::new(JsonLines::after_partial_line(file)) } else { Arc::new(JsonLines::new(file)) })
}

/// Checks whether the file could be opened or created.
fn check_writable(path: &Path) -> Result<(), AuditFileError> {
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let built = access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK);
        return built.map_err(|error| write_error(&error.into()));
    }
    open_file(path, false).map(drop)
}

/// Opens the file if only its user can write to it. The checks apply to the opened file.
fn open_file(path: &Path, create: bool) -> Result<File, AuditFileError> {
    // Opening a pipe without a reader would block, and a symbolic link could lead elsewhere.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    // Audit records are private to the user.
    options.read(true).append(true).create(create).mode(0o600).custom_flags(flags.bits().cast_signed());
    let is_link = || path.symlink_metadata().is_ok_and(|file| file.is_symlink());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(_) if is_link() => return Err("is a symbolic link; name the file itself".to_owned()),
        Err(error) => return Err(write_error(&error)),
    };
    let found = file.metadata().map_err(|error| write_error(&error))?;
    if !found.is_file() {
        Err("is not a regular file; name a file".to_owned())
    } else if found.uid() != geteuid().as_raw() {
        Err("belongs to another user; name a file of your own".to_owned())
    } else if found.mode() & 0o022 != 0 {
        Err("may be written by other users; check its records, then run `chmod go-w` on it".to_owned())
    } else {
        Ok(file)
    }
}

/// Whether the last line is incomplete, because its writer was killed or the disk was full.
fn has_torn_last_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn write_error(error: &io::Error) -> AuditFileError {
    format!("cannot be written: {error}; name a file in a folder that is there and writable")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// Returns the error of `check`, which must equal that of opening the file.
    fn check_error(path: &Path) -> Option<AuditFileError> {
        let (checked, opened) = (check_writable(path).err(), open_file(path, true).map(drop).err());
        assert_eq!(checked, opened, "{}", path.display());
        checked
    }

    fn folder_with_audit_file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        (folder, path)
    }

    #[test]
    fn open_file_missing_creates_private_file() {
        let (folder, _) = folder_with_audit_file("");
        let path = folder.path().join("new.jsonl");
        check_writable(&path).unwrap();
        assert!(!path.exists());
        open_file(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn check_writable_file_writable_by_others_fails() {
        let (_folder, path) = folder_with_audit_file("{}\n");
        assert_eq!(check_error(&path), None);
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(check_error(&path).unwrap().contains("chmod go-w"), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(check_error(&path), None, "reading is another matter");
    }

    #[test]
    fn check_writable_pipe_link_or_device_fails() {
        let (folder, file) = folder_with_audit_file("");
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink(&file, &link).unwrap();
        assert!(check_error(&pipe).unwrap().contains("not a regular file"));
        assert!(check_error(&link).unwrap().contains("symbolic link"));
        assert!(check_error(Path::new("/dev/null")).unwrap().contains("not a regular file"));
        symlink(folder.path().join("nowhere"), folder.path().join("dangling")).unwrap();
        assert!(check_error(&folder.path().join("dangling")).unwrap().contains("symbolic link"));
        assert!(!folder.path().join("nowhere").exists());
    }

    #[test]
    fn has_torn_last_line_missing_newline_returns_true() {
        for (text, torn) in [("", false), ("{}\n", false), ("{}\n{", true)] {
            let (_folder, path) = folder_with_audit_file(text);
            assert_eq!(has_torn_last_line(&mut open_file(&path, true).unwrap()).unwrap(), torn, "{text}");
        }
    }
}
