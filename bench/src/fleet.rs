//! Fleets: gateways with one store, in this process or in processes of their own, and a client that calls their tools.

pub(crate) mod client;
pub(crate) mod node;
pub(crate) mod store;
