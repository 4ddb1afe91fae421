//! `GetScopedCredentials`: temporary credentials, traded in for others of the same session that may do less.

mod builder;
mod error;
mod operation;
mod provider;

pub use builder::ScopedBuilder;
pub use provider::ScopedProvider;
