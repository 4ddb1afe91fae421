//! Process: credentials that a program prints, as `credential_process` of the shared configuration files has it.

mod builder;
mod document;
mod error;
mod line;
mod program;
mod provider;

pub use builder::ProcessBuilder;
pub use provider::ProcessProvider;
