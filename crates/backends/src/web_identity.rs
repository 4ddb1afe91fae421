//! Web identity: the temporary credentials of a role, for a token of an identity provider that the role trusts.

mod builder;
mod client;
mod error;
mod provider;
mod token;

pub use builder::WebIdentityBuilder;
pub use provider::WebIdentityProvider;
