//! The identity token: read from its file or asked for, anew at each fetch.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use valetkey_core::{ExposeSecret, Result, SecretString};

use super::error;
use crate::SecretProvider;

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
            Self::Provider(source) => source.secret().await.map_err(error::token_unavailable)?,
        };
        let token = text.expose_secret().trim();
        match token.chars().count() {
            0 => Err(error::empty_token(self)),
            MIN_CHARACTERS..=MAX_CHARACTERS => Ok(SecretString::from(token)),
            _ => Err(error::invalid_length(self)),
        }
    }
}

/// The file's text. What is not a file is not opened: a pipe would hold a thread until somebody writes.
async fn read_file(path: &Path) -> Result<SecretString> {
    if !fs::metadata(path).await.map_err(|io_error| error::unreadable_file(&io_error))?.is_file() {
        return Err(error::not_a_file());
    }
    let bytes = read_bytes(path).await.map_err(|io_error| error::unreadable_file(&io_error))?;
    String::from_utf8(bytes).map(SecretString::from).map_err(|_| error::not_utf8())
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
