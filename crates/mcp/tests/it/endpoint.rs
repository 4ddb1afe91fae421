//! The container credentials endpoint, with requests as SDKs send them, and with invalid ones.

mod connection_limits;
mod fixture;
mod hardening;
mod masking;
mod response;
mod rotation;
mod state;
