//! Reads and writes the JSON of peers: input is bounded before it is parsed, repaired where the repair is unambiguous,
//! and numbers that fit no machine word stay exact.

mod exact;
mod lines;
mod outbox;
mod repair;
mod scan;
mod trailing;

pub(crate) use exact::{round_numbers, write_exact};
#[cfg(feature = "http")]
pub(crate) use lines::read_document;
pub(crate) use lines::{JsonLineDecoder, Line, UnreadableMessage};
pub(crate) use outbox::BoundedLineWriter;

use rmcp::model::RequestId;
use serde_json::Value;

/// Reads the id of a request, which is an integer or a text.
pub(crate) fn request_id(id: &Value) -> Option<RequestId> {
    match id {
        Value::Number(id) => id.as_i64().map(RequestId::Number),
        Value::String(id) => Some(RequestId::String(id.as_str().into())),
        _ => None,
    }
}
