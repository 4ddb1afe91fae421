//! `valetkey exec`: the program's environment, its exit code, and errors when it cannot run.

mod accounts;
mod child;
mod exchange;
mod refusal;
mod signals;

use crate::shell::Shell;

pub(crate) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// A secret that must not appear in any output.
pub(crate) const SECRET: &str = "canarySecretAccessKeyOfTheHost1234567890";
pub(crate) const TOKEN: &str = "canarySessionTokenOfTheHost";

/// A shell with keys in its environment.
pub(crate) fn shell_with_keys() -> Shell {
    let shell = Shell::new().env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    shell.env("AWS_SESSION_TOKEN", TOKEN).env("AWS_REGION", "eu-central-1")
}
