//! JSON of peers: bounded before it is parsed, repaired where that is unambiguous, and exact where a number is too long
//! for a machine word.

mod exact;
mod lines;
mod outbox;
mod repair;
mod scan;
mod trailing;

pub(crate) use exact::{round_numbers, write_exact};
pub(crate) use lines::{JsonLineDecoder, Line, UnreadableMessage};
pub(crate) use outbox::BoundedLineWriter;
