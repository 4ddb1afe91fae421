//! The identity token: read from its file or asked for, anew at each fetch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError as Refusal;
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use valetkey_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};

use super::OPERATION;
use crate::{SecretProvider, error};

/// As many characters as STS takes.
const MIN_CHARACTERS: usize = 4;
const MAX_CHARACTERS: usize = 20_000;
/// More than the longest token takes in UTF-8, with blanks around it. A file is not read any further.
const MAX_FILE_BYTES: u64 = 128 * 1024;

/// Where the token comes from.
#[derive(Clone)]
pub(super) enum IdentityTokenSource {
    File(PathBuf),
    Provider(Arc<dyn SecretProvider>),
}

impl IdentityTokenSource {
    /// The setting that a fault of the token is told under.
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::File(_) => "token_file",
            Self::Provider(_) => "token",
        }
    }

    /// The token to present now, without the blanks around it.
    pub(super) async fn fetch(&self) -> Result<SecretString> {
        let text = match self {
            Self::File(path) => read_file(path).await?,
            Self::Provider(source) => source.secret().await.map_err(token_unavailable)?,
        };
        let token = text.expose_secret().trim();
        match token.chars().count() {
            0 => Err(empty_token(self)),
            MIN_CHARACTERS..=MAX_CHARACTERS => Ok(SecretString::from(token)),
            _ => Err(invalid_length(self)),
        }
    }
}

/// The file's text. What is not a file is not opened: a pipe would hold a thread until somebody writes.
async fn read_file(path: &Path) -> Result<SecretString> {
    if !fs::metadata(path).await.map_err(|io_error| unreadable_file(&io_error))?.is_file() {
        return Err(not_a_file());
    }
    let bytes = read_bytes(path).await.map_err(|io_error| unreadable_file(&io_error))?;
    String::from_utf8(bytes).map(SecretString::from).map_err(|_| not_utf8())
}

async fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).await?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

impl fmt::Debug for IdentityTokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Provider(_) => f.write_str("Asked"),
        }
    }
}

/// What to do about a token that is of no use.
fn renewal_step(token: &IdentityTokenSource) -> &'static str {
    match token {
        IdentityTokenSource::File(_) => "have the identity provider's agent write a new token into that file",
        IdentityTokenSource::Provider(_) => "get a new token from the identity provider",
    }
}

/// An empty file may be one that is just being written anew.
fn empty_token(token: &IdentityTokenSource) -> Error {
    let kind = match token {
        IdentityTokenSource::File(_) => ErrorKind::Unavailable,
        IdentityTokenSource::Provider(_) => ErrorKind::Invalid,
    };
    let field = token.field();
    Error::new(kind, format!("`{field}` holds no token"))
        .with_field(field)
        .with_next_step(renewal_step(token))
}

fn invalid_length(token: &IdentityTokenSource) -> Error {
    Error::invalid(token.field(), "must hold a token of 4 to 20,000 characters")
        .with_next_step(renewal_step(token))
}

fn not_utf8() -> Error {
    Error::invalid("token_file", "is not valid UTF-8").with_next_step("name the file that holds the token")
}

fn not_a_file() -> Error {
    Error::invalid("token_file", "does not name a file").with_next_step("name the file that holds the token")
}

/// Somebody has to put a missing or forbidden file right; any other failure may pass.
fn unreadable_file(io_error: &io::Error) -> Error {
    let (kind, rule) = match io_error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::Invalid, "names a file that does not exist"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Invalid, "names a file that may not be read"),
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
            (ErrorKind::Invalid, "names no possible file")
        }
        _ => (ErrorKind::Unavailable, "names a file that cannot be read now"),
    };
    Error::new(kind, format!("`token_file` {rule}"))
        .with_field("token_file")
        .with_next_step("check the path, and who may read it")
}

/// Whoever was asked has none. It was configured to be asked, so its absence is a fault: a chain must not fall through
/// to somebody else.
fn token_unavailable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotConfigured => Error::invalid("token", "could not be had")
            .with_next_step("configure what gives the token")
            .with_source(error),
        _ => error,
    }
}

/// What STS answered. What it says of the token is told under the token's setting.
pub(super) fn map_error(sdk_error: &SdkError<Refusal>, token: &IdentityTokenSource) -> Error {
    let code = sdk_error.as_service_error().and_then(ProvideErrorMetadata::code).map(error::plain_code);
    let error = error::from_sdk_error(OPERATION, sdk_error);
    match code {
        // The token may be sound: STS could not verify it now.
        _ if error.is_transient() => error,
        Some("ExpiredToken" | "InvalidIdentityToken" | "IDPRejectedClaim") => {
            error.with_field(token.field()).with_next_step(renewal_step(token))
        }
        _ => error,
    }
}
