//! Checks before the start whether a command can be started, so that the error names the invalid field.
//!
//! The error of the operating system for a missing program is the same as for a missing working directory.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use valetkey_core::{Error, Result};

use super::{ChildCommand, ChildEnvironment};

/// The search path of the operating system if `PATH` is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl ChildCommand {
    /// Checks that the program and its working directory exist, and that the program is executable.
    ///
    /// # Errors
    /// Returns `Invalid` with the field `cwd` or `command`. Retrying fails until the configuration or the machine is
    /// changed.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, HostEnvironment};
    ///
    /// let environment = ChildEnvironment::new(&HostEnvironment::new([("PATH".into(), "/usr/bin:/bin".into())]), []);
    /// assert!(ChildCommand::new("sh").check(&environment).is_ok());
    /// let error = ChildCommand::new("sh -c true").check(&environment).unwrap_err();
    /// assert_eq!(error.field(), Some("command"));
    /// let error = ChildCommand::new("sh").current_dir("/no/such/folder").check(&environment).unwrap_err();
    /// assert_eq!(error.field(), Some("cwd"));
    /// ```
    pub fn check(&self, environment: &ChildEnvironment) -> Result<()> {
        self.check_current_dir()?;
        let candidates = self.candidate_paths(environment.get("PATH"));
        if candidates.iter().any(|path| is_executable(path)) {
            return Ok(());
        }
        let is_file = self.is_program_path() && candidates.iter().any(|path| path.is_file());
        Err(if is_file { not_executable_error() } else { not_found_error(&self.program) })
    }

    fn check_current_dir(&self) -> Result<()> {
        let Some(directory) = &self.current_dir else { return Ok(()) };
        let next_step = "create the folder, or correct the path";
        let rule = match fs::metadata(directory) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => "names a file, where a folder is needed",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "names a folder that does not exist",
            Err(_) => "names a folder that cannot be opened",
        };
        Err(Error::invalid("cwd", rule).with_next_step(next_step))
    }

    /// Returns the candidate files of the program: one for a path, one in each folder of `PATH` for a name.
    fn candidate_paths(&self, path: Option<&OsStr>) -> Vec<PathBuf> {
        let directory = self.current_dir.as_deref().unwrap_or(Path::new(""));
        if self.is_program_path() {
            return vec![directory.join(&self.program)];
        }
        let folders = std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH)));
        folders.map(|folder| directory.join(folder).join(&self.program)).collect()
    }

    fn is_program_path(&self) -> bool {
        self.program.as_bytes().contains(&b'/')
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn not_executable_error() -> Error {
    Error::invalid("command", "names a file that is not executable")
        .with_next_step("run `chmod +x` on it, or name its interpreter in `command` and the file in `args`")
}

/// Describes the problem without the program itself, because `command` may contain a pasted secret.
fn not_found_error(program: &OsStr) -> Error {
    let program = program.as_bytes();
    if program.trim_ascii().iter().any(u8::is_ascii_whitespace) {
        return Error::invalid("command", "is a whole command line, where the program alone is needed")
            .with_next_step("split the line into `command` and `args`");
    }
    if program.starts_with(b"~") {
        return Error::invalid("command", "begins with `~`, which only a shell expands")
            .with_next_step("write `${HOME}` in place of `~`, or the full path");
    }
    Error::invalid("command", "names a program that is not found").with_next_step(
        "install it, or give its full path; `PATH` is that of the program that starts valetkey",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::HostEnvironment;

    fn check_error(program: &str, directory: Option<&str>) -> String {
        let directory = directory.map(PathBuf::from);
        let command = ChildCommand {
            program: program.into(),
            args: Vec::new(),
            current_dir: directory,
            launcher: None,
        };
        let path = [("PATH".into(), "/nowhere:/bin:".into())];
        let checked = command.check(&ChildEnvironment::new(&HostEnvironment::new(path), []));
        checked.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn check_runnable_command_succeeds() {
        assert_eq!(check_error("sh", None), "");
        assert_eq!(check_error("/bin/sh", Some("/")), "");
        assert_eq!(check_error("./sh", Some("/bin")), "", "a path starts at `cwd`");
        assert_eq!(check_error("sh", Some("/")), "");
    }

    #[test]
    fn check_unrunnable_command_names_invalid_field() {
        for (program, directory, expected) in [
            ("sh", Some("/no-such-folder"), "`cwd` names a folder that does not exist"),
            ("no-such-program", Some("/no-such-folder"), "`cwd` names a folder that does not exist"),
            ("sh", Some("/etc/passwd"), "`cwd` names a file"),
            ("no-such-program", None, "`command` names a program that is not found"),
            ("/etc/passwd", None, "`command` names a file that is not executable"),
            ("/no/such/program", None, "`command` names a program that is not found"),
            ("npx -y thing", None, "split the line into `command` and `args`"),
            ("/usr/bin/npx -y thing", None, "split the line into `command` and `args`"),
            ("~/bin/thing", None, "write `${HOME}` in place of `~`"),
        ] {
            let error = check_error(program, directory);
            assert!(error.contains(expected), "{program}: {error}");
        }
    }
}
