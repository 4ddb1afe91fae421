//! `SignInRequest`: a sign-in that only a person can make, when credentials need one.

use valetkey_core::{
    AccountName, Error, ErrorKind, Principal, Result, SessionContext, SessionId, escape_control_chars,
};

use super::Approver;
use super::permit::{RequestLimit, while_open};

/// A sign-in that is needed before an account has credentials again, as a person reads of it.
///
/// # Examples
/// ```
/// # use valetkey_core::{AccountName, Error, ErrorKind, SessionContext};
/// # use valetkey_tools::SignInRequest;
/// let session = SessionContext::builder().build();
/// let error = Error::new(ErrorKind::InteractionRequired, "the sign-in of the profile has ended")
///     .with_next_step("run `aws sso login --profile dev`");
/// let request = SignInRequest::new(&session, &AccountName::default_account(), &error);
/// assert!(request.to_message().contains("aws sso login"));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignInRequest {
    /// The account that needs it.
    pub account: AccountName,
    /// Why it is needed.
    pub message: String,
    /// What the person has to do, such as a command.
    pub next_step: Option<String>,
    /// The session of the account, as an operator sees it.
    pub session: SessionId,
    /// The principal that the session acts for.
    pub principal: Option<Principal>,
}

impl SignInRequest {
    /// Creates the request that follows from the error of a provider.
    #[must_use]
    pub fn new(session: &SessionContext, account: &AccountName, error: &Error) -> Self {
        Self {
            account: account.clone(),
            message: error.message().to_owned(),
            next_step: error.next_step().map(str::to_owned),
            session: session.id(),
            principal: session.principal().cloned(),
        }
    }

    /// Describes the request to a person. No word of a model is in it.
    #[must_use]
    pub fn to_message(&self) -> String {
        let next_step =
            self.next_step.as_deref().unwrap_or("sign in, as the provider of the account requires");
        format!(
            "The AWS account `{}` needs you to sign in: {}.\nTo do: {}",
            self.account,
            escape_control_chars(&self.message),
            escape_control_chars(next_step)
        )
    }
}

/// Waits until the person has made the sign-in that `error` calls for, so that the credentials can be fetched again.
///
/// # Errors
/// `error` itself if it calls for none, or if no person is reached; otherwise that of the person.
pub(crate) async fn sign_in(
    session: &SessionContext,
    account: &AccountName,
    error: Error,
    approver: &dyn Approver,
    limit: &RequestLimit,
) -> Result<()> {
    if error.kind() != ErrorKind::InteractionRequired {
        return Err(error);
    }
    let Ok(mut permit) = limit.begin() else { return Err(error) };
    let request = SignInRequest::new(session, account, &error);
    let signed_in = while_open(session, approver.sign_in(&request)).await;
    permit.end(signed_in.as_ref().err());
    match signed_in {
        Err(unreached) if unreached.kind() == ErrorKind::NotConfigured => Err(error),
        signed_in => signed_in,
    }
}
