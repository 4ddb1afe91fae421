//! The tools that store and return the service context of a session. It contains no secrets.

mod get;
mod set;

pub(crate) use get::GetServiceContext;
pub(crate) use set::SetServiceContext;
