//! The container credentials endpoint, with requests as SDKs send them, and with invalid ones.

mod answer;
mod client;
mod crowd;
mod hardening;
mod masked;
mod rotation;
mod state;
