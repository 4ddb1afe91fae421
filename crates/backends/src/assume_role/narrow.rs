//! Narrowing: the same request, with less in its session policy.

use valetkey_core::{Error, Result, SessionPolicy};

use super::client::Request;

/// `request` with what its own policy and `policy` have in common.
pub(super) fn request(request: &Request, policy: &SessionPolicy) -> Result<Request> {
    if !request.policy_arns.is_empty() {
        return Err(Error::invalid(
            "policy_arns",
            "cannot be narrowed, for what they allow is not known here",
        )
        .with_next_step("write what they allow as an inline policy"));
    }
    let own = request.policy.as_deref().map(str::parse::<SessionPolicy>).transpose()?;
    let policy = own.map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy))?;
    Ok(Request { policy: Some(policy.into()), ..request.clone() })
}
