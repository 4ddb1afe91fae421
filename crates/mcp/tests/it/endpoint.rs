//! The container-credentials endpoint, asked as SDKs ask it, and as nobody should.

mod answer;
mod client;
mod crowd;
mod hardening;
mod masked;
mod rotation;
mod state;
