//! `valetkey exec`: the program's environment, its exit code, and errors when it cannot run.

mod accounts;
mod child;
mod errors;
mod exchange;
mod signals;
mod subshell;

use crate::program_fixture::ProgramFixture;

pub(crate) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// A secret that must not appear in any output.
pub(crate) const SECRET: &str = "canarySecretAccessKeyOfTheHost1234567890";
pub(crate) const TOKEN: &str = "canarySessionTokenOfTheHost";

/// A fixture with keys in its environment.
pub(crate) fn fixture_with_keys() -> ProgramFixture {
    let fixture = ProgramFixture::new().env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    fixture.env("AWS_SESSION_TOKEN", TOKEN).env("AWS_REGION", "eu-central-1")
}
