//! Multi-factor authentication of a request: the serial number of a device, and the provider of its codes.

use std::fmt;
use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use valetkey_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};

use super::request::{ensure, is_charset};
use crate::{SecretProvider, error};

const MFA_CODE_FIELD: &str = "mfa_code";

/// An MFA device. Its codes come from a provider, which usually prompts a person.
#[derive(Clone)]
pub(crate) struct MfaDevice {
    pub(crate) serial: String,
    pub(crate) code: Arc<dyn SecretProvider>,
}

impl MfaDevice {
    /// Checks the serial number against the limits of STS.
    pub(crate) fn check(&self) -> Result<()> {
        let is_valid = (9..=256).contains(&self.serial.len()) && is_charset(&self.serial, b"_+=/:,.@-");
        ensure(
            is_valid,
            "mfa_serial",
            "must be 9 to 256 of `A-Z a-z 0-9 _ + = / : , . @ -`, such as `arn:aws:iam::111111111111:mfa/alice`",
        )
    }

    /// Fetches the present code, which may prompt a person.
    pub(crate) async fn current_code(&self) -> Result<SecretString> {
        let code = self.code.secret().await.map_err(code_unavailable)?;
        let digits = code.expose_secret().trim();
        if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(SecretString::from(digits))
        } else {
            Err(interaction_required("the MFA code is not 6 digits"))
        }
    }
}

/// Returns the configuration of a request with a code. A code works once, so a retry of a request that reached STS
/// would be refused.
pub(crate) fn without_retries() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// Maps the failure of a request with a code. Only the start of the message distinguishes a wrong or used code from
/// another refusal.
pub(crate) fn map_error<E: ProvideErrorMetadata>(
    operation: &'static str,
    sdk_error: &SdkError<E, HttpResponse>,
) -> Error {
    let error = error::from_sdk_error(operation, sdk_error);
    let message = sdk_error.as_service_error().and_then(ProvideErrorMetadata::message);
    if error.kind() == ErrorKind::Denied
        && message.is_some_and(|message| message.starts_with("MultiFactorAuthentication failed"))
    {
        return interaction_required("the MFA code was refused, or belongs to another device")
            .with_next_step("wait for the next code of the MFA device and refresh the account, or check its serial number")
            .with_source(error);
    }
    error
}

fn interaction_required(message: &'static str) -> Error {
    Error::new(ErrorKind::InteractionRequired, message)
        .with_field(MFA_CODE_FIELD)
        .with_next_step("have a person ready to read the code off the MFA device, then refresh the account")
}

fn code_unavailable(cause: Error) -> Error {
    interaction_required("an MFA code from a person is needed, and none was supplied").with_source(cause)
}

impl fmt::Debug for MfaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MfaDevice").field("serial", &self.serial).finish_non_exhaustive()
    }
}
