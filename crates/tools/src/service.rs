//! The tools that keep and give back facts on the service at hand. The facts are not secret.

mod get;
mod set;

pub(crate) use get::GetServiceContext;
pub(crate) use set::SetServiceContext;
