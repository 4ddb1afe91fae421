//! What the message of an error adds to its code. AWS uses some codes for a final refusal and for trouble that passes.

use super::code::strip_exception_suffix;

/// Trouble that passes, although its code is that of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransientCondition {
    /// The clocks of this machine and of AWS differ.
    ClockSkew,
    /// STS could not fetch the keys that verify an identity token.
    VerificationKeyUnavailable,
}

/// The trouble that a code and its message name, in the phrases that AWS uses. `None` leaves the code to decide.
pub(crate) fn transient_condition(code: &str, message: Option<&str>) -> Option<TransientCondition> {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    match strip_exception_suffix(code) {
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => Some(TransientCondition::ClockSkew),
        "SignatureDoesNotMatch" | "InvalidSignature"
            if ["signature expired", "signature not yet current"]
                .iter()
                .any(|said| message.contains(said)) =>
        {
            Some(TransientCondition::ClockSkew)
        }
        "InvalidIdentityToken" if message.contains("retrieve verification key") => {
            Some(TransientCondition::VerificationKeyUnavailable)
        }
        _ => None,
    }
}

impl TransientCondition {
    pub(crate) fn next_step(self) -> &'static str {
        match self {
            Self::ClockSkew => "set the clock of this machine",
            Self::VerificationKeyUnavailable => "check that AWS can reach the identity provider, then try again",
        }
    }
}
