//! The container-credentials endpoint, asked as SDKs ask it, and as nobody should.

mod answer;
mod client;
mod hardening;
mod rotation;
mod state;
