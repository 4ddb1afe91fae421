//! The identity token: read from its file or fetched from a provider at each use, and its errors.
//!
//! Errors name the setting and the remedy, and contain neither the token nor the path.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use valetkey_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};

use super::OPERATION;
use crate::{SecretProvider, error};

/// The limits of STS.
const MIN_CHARACTERS: usize = 4;
const MAX_CHARACTERS: usize = 20_000;
/// More bytes than the longest token has in UTF-8 with whitespace around it. The rest of a file is not read.
const MAX_FILE_BYTES: u64 = 128 * 1024;

/// The source of identity tokens. The token is fetched at each use, so that the identity provider may renew it.
#[derive(Clone)]
pub(super) enum IdentityTokenSource {
    File(PathBuf),
    Provider(Arc<dyn SecretProvider>),
}

impl IdentityTokenSource {
    /// Returns the field of errors about the token.
    fn field(&self) -> &'static str {
        match self {
            Self::File(_) => "token_file",
            Self::Provider(_) => "token",
        }
    }

    fn renewal_step(&self) -> &'static str {
        match self {
            Self::File(_) => "have the identity provider's agent write a new token into that file",
            Self::Provider(_) => "get a new token from the identity provider",
        }
    }

    /// Fetches the present token, without whitespace around it.
    pub(super) async fn fetch(&self) -> Result<SecretString> {
        let text = match self {
            Self::File(path) => read_file(path).await?,
            Self::Provider(source) => source.secret().await.map_err(token_unavailable)?,
        };
        let token = text.expose_secret().trim();
        match token.chars().count() {
            0 => Err(self.empty_token()),
            MIN_CHARACTERS..=MAX_CHARACTERS => Ok(SecretString::from(token)),
            _ => Err(self.invalid_length()),
        }
    }

    /// An empty file may be in the middle of a replacement, so its error is transient.
    fn empty_token(&self) -> Error {
        let kind = match self {
            Self::File(_) => ErrorKind::Unavailable,
            Self::Provider(_) => ErrorKind::Invalid,
        };
        let field = self.field();
        Error::new(kind, format!("`{field}` holds no token"))
            .with_field(field)
            .with_next_step(self.renewal_step())
    }

    fn invalid_length(&self) -> Error {
        Error::invalid(self.field(), "must hold a token of 4 to 20,000 characters")
            .with_next_step(self.renewal_step())
    }
}

/// Reads the text of a regular file. Other files are not opened: opening a pipe would block a thread until it has a
/// writer.
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

/// Maps the failure of the request. If STS rejects the token, the error names the setting of the token.
pub(super) fn map_error(
    sdk_error: &SdkError<AssumeRoleWithWebIdentityError>,
    token: &IdentityTokenSource,
) -> Error {
    let code =
        sdk_error.as_service_error().and_then(ProvideErrorMetadata::code).map(error::strip_exception_suffix);
    let error = error::from_sdk_error(OPERATION, sdk_error);
    match code {
        // STS could not verify the token now, so the token may be valid.
        _ if error.is_transient() => error,
        Some("ExpiredToken" | "InvalidIdentityToken" | "IDPRejectedClaim") => {
            error.with_field(token.field()).with_next_step(token.renewal_step())
        }
        _ => error,
    }
}

/// A configured token that is missing is an error: a chain must not fall through to another identity.
fn token_unavailable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotConfigured => Error::invalid("token", "is not available")
            .with_next_step("configure the source of the token")
            .with_source(error),
        _ => error,
    }
}

/// A missing or forbidden file needs a person. Other failures may be transient.
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
        .with_next_step("check the path and the permissions of the file")
}

fn not_utf8() -> Error {
    Error::invalid("token_file", "is not valid UTF-8").with_next_step("name the file that holds the token")
}

fn not_a_file() -> Error {
    Error::invalid("token_file", "does not name a file").with_next_step("name the file that holds the token")
}

impl fmt::Debug for IdentityTokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Provider(_) => f.write_str("Provider"),
        }
    }
}
