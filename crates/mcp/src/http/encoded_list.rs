//! `EncodedList`: the items of a list as JSON text, encoded once for all clients; `ListSlot`: adds them to a response.
//!
//! A catalog may have thousands of tools, and each client lists them, often again after each change of any server. A list
//! passes through these steps:
//!
//! 1. [`Catalog`](super::catalog::Catalog) encodes it when it has changed, for each combination of accounts that its
//!    tools can select, and shares the text with all later requests.
//! 2. The source of a request puts the shared text into the slot of the request, and returns no items.
//! 3. rmcp validates the request and creates the envelope of the result, in the format of the client's version.
//! 4. The response is written: the envelope, and the text in place of its empty list.

use std::sync::{Arc, OnceLock};

use hyper::body::Bytes;
use rmcp::model::{CustomResult, JsonRpcMessage, ServerResult};
use serde::Serialize;
use serde_json::{Map, Value};

use super::exchange::Outgoing;
use crate::connection::ListKind;
use crate::json::write_exact;

/// The items of one list, as a JSON array. Clones share the text.
#[derive(Debug, Clone)]
pub(super) struct EncodedList {
    kind: ListKind,
    items: Bytes,
}

impl EncodedList {
    /// Encodes the items in their order.
    ///
    /// # Errors
    /// An item cannot be written as JSON.
    pub(super) fn new(kind: ListKind, items: &[Value]) -> serde_json::Result<Self> {
        Ok(Self { kind, items: encode(&items)?.into() })
    }

    /// Whether both lists are the same allocation.
    #[cfg(test)]
    pub(super) fn is_same_text(&self, other: &Self) -> bool {
        std::ptr::eq(self.items.as_ptr(), other.items.as_ptr())
    }
}

/// The list that the response to one request contains. The request's handler leaves the items out of its result, because
/// rmcp would copy and encode them for each request.
#[derive(Debug, Clone, Default)]
pub(super) struct ListSlot(Arc<OnceLock<EncodedList>>);

impl ListSlot {
    /// Adds the list to the response, in place of the items of its result.
    pub(super) fn set(&self, list: EncodedList) {
        // A request has one list.
        let _is_first = self.0.set(list);
    }

    /// Returns the message as JSON text, with the items of the list if it is the response that lacks them.
    ///
    /// # Errors
    /// A part of the message cannot be written as JSON.
    pub(super) fn encode(&self, message: &Outgoing) -> serde_json::Result<Vec<u8>> {
        if let (Some(list), JsonRpcMessage::Response(response)) = (self.0.get(), message)
            && let ServerResult::CustomResult(CustomResult(Value::Object(fields))) = &response.result
        {
            return encode_response(&response.id, fields, list);
        }
        encode(message)
    }
}

/// Writes a response whose result has these fields, and the items of the list after them.
fn encode_response(
    id: &impl Serialize,
    fields: &Map<String, Value>,
    list: &EncodedList,
) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(list.items.len() + 256);
    text.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    write_exact(&mut text, id)?;
    text.extend_from_slice(b",\"result\":{");
    for (name, value) in fields {
        if name != list.kind.items_field() {
            write_exact(&mut text, name)?;
            text.push(b':');
            write_exact(&mut text, value)?;
            text.push(b',');
        }
    }
    write_exact(&mut text, &list.kind.items_field())?;
    text.push(b':');
    text.extend_from_slice(&list.items);
    text.extend_from_slice(b"}}");
    Ok(text)
}

/// Returns a value as JSON text. Numbers of any length are written unchanged.
pub(super) fn encode(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    write_exact(&mut text, value)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use rmcp::model::RequestId;
    use serde_json::json;

    use super::*;

    fn response(result: Value) -> Outgoing {
        JsonRpcMessage::response(
            ServerResult::CustomResult(CustomResult(result)),
            RequestId::String("a\"tools\":[]".into()),
        )
    }

    #[test]
    fn list_slot_writes_items_into_response() {
        let tools = [json!({"name": "a"}), json!({"name": "b", "x": [1.50]})];
        let envelope = json!({"resultType": "complete", "tools": [], "ttlMs": 0});
        let slot = ListSlot::default();
        assert_eq!(
            slot.encode(&response(envelope.clone())).unwrap(),
            encode(&response(envelope.clone())).unwrap()
        );
        slot.set(EncodedList::new(ListKind::Tools, &tools).unwrap());
        let text = slot.encode(&response(envelope)).unwrap();
        let written: Value = serde_json::from_slice(&text).unwrap();
        let result = json!({"resultType": "complete", "ttlMs": 0, "tools": tools});
        assert_eq!(written, json!({"jsonrpc": "2.0", "id": "a\"tools\":[]", "result": result}));
        let notification = crate::client::notification("notifications/message", None);
        assert_eq!(slot.encode(&notification).unwrap(), encode(&notification).unwrap());
    }
}
