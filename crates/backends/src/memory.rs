//! Memory: credentials that the program hands in.

mod provider;

pub use provider::MemoryProvider;
