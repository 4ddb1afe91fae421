//! What the providers that ask STS share: where they ask, the limits of what may be asked, how answers are read.

pub(crate) mod answer;
mod client;
pub(crate) mod limits;
pub(crate) mod marks;
pub(crate) mod mfa;
mod policies;
mod tags;
mod utilization;

pub(crate) use client::Sts;
pub(crate) use policies::SessionPolicies;
pub(crate) use tags::SessionTags;
pub(crate) use utilization::Utilization;
