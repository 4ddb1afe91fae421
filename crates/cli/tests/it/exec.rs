//! `valetkey exec`: what the program sees, how it ends, and what is said when it can not run.

mod accounts;
mod child;
mod exchange;
mod refusal;
mod signals;

use crate::shell::Shell;

pub(crate) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Stands for the secret wherever it must not be seen.
pub(crate) const SECRET: &str = "canarySecretAccessKeyOfTheHost1234567890";
pub(crate) const TOKEN: &str = "canarySessionTokenOfTheHost";

/// Somebody's shell with keys in it.
pub(crate) fn shell_with_keys() -> Shell {
    let shell = Shell::new().env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    shell.env("AWS_SESSION_TOKEN", TOKEN).env("AWS_REGION", "eu-central-1")
}
