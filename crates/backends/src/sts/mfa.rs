//! The second factor of a request: a device's serial number, and whoever knows its code now.

use std::fmt;
use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_sdk_sts::config::Builder;
use valetkey_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};

use super::limits::{only, rule};
use crate::SecretSource;

/// A device, and who is asked for its code.
#[derive(Clone)]
pub(crate) struct Mfa {
    pub(crate) serial: String,
    pub(crate) code: Arc<dyn SecretSource>,
}

impl Mfa {
    pub(crate) fn check(&self) -> Result<()> {
        let holds = (9..=256).contains(&self.serial.len()) && only(&self.serial, b"_+=/:,.@-");
        rule(
            holds,
            "mfa_serial",
            "must be 9 to 256 of `A-Z a-z 0-9 _ + = / : , . @ -`, such as `arn:aws:iam::111111111111:mfa/alice`",
        )
    }

    /// The code of the moment, from a person.
    pub(crate) async fn code(&self) -> Result<SecretString> {
        let code = self.code.secret().await.map_err(nobody_there)?;
        let digits = code.expose_secret().trim();
        rule(
            digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()),
            "mfa_code",
            "must be 6 digits",
        )?;
        Ok(SecretString::from(digits))
    }
}

/// The configuration of a request with a code. A code works once: what a first attempt used up, a second one would be
/// refused for.
pub(crate) fn sent_once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// Whatever kept the code from coming: permanent, so that nothing asks again by itself.
fn nobody_there(told: Error) -> Error {
    Error::new(ErrorKind::Denied, "a code from a person is needed, and none was given")
        .with_field("mfa_code")
        .with_next_step(
            "have somebody at hand who reads the code off the MFA device, then refresh the account",
        )
        .with_source(told)
}

/// What STS said to a request with a code. When it refuses, it does not say whether that was why.
pub(crate) fn refused(error: Error) -> Error {
    if error.kind() != ErrorKind::Denied {
        return error;
    }
    error.with_field("mfa_code").with_next_step(
        "wait for the next code of the MFA device and refresh the account, or check its serial number and the \
         user's policies",
    )
}

impl fmt::Debug for Mfa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mfa").field("serial", &self.serial).finish_non_exhaustive()
    }
}
