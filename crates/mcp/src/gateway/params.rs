//! `RawParams`: the parameters of a request as the client sent them. rmcp's models drop fields that they do not know.

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, GetExtensions, JsonRpcMessage};
use rmcp::service::RxJsonRpcMessage;
use serde_json::{Map, Value};

use crate::meta::{PROGRESS_TOKEN, is_protocol_key};

/// Travels with a request through rmcp, as an extension of the request.
#[derive(Debug, Clone)]
pub(super) struct RawParams(Map<String, Value>);

impl RawParams {
    pub(super) fn new(params: Map<String, Value>) -> Self {
        Self(params)
    }

    /// Returns the parameters for a server: without the parts of `_meta` that belong to the connection of the client.
    pub(super) fn for_server(self) -> Map<String, Value> {
        let mut params = self.0;
        if let Some(Value::Object(meta)) = params.get_mut("_meta") {
            meta.retain(|key, _| key != PROGRESS_TOKEN && !is_protocol_key(key));
        }
        if params.get("_meta").and_then(Value::as_object).is_some_and(Map::is_empty) {
            params.shift_remove("_meta");
        }
        params
    }
}

/// Attaches the parameters to a request that is passed on to a server.
pub(crate) fn attach_params(message: &mut RxJsonRpcMessage<RoleServer>, params: Option<Value>) {
    let JsonRpcMessage::Request(request) = message else { return };
    let is_passed_on = matches!(
        request.request,
        ClientRequest::CallToolRequest(_)
            | ClientRequest::GetPromptRequest(_)
            | ClientRequest::ReadResourceRequest(_)
            | ClientRequest::CompleteRequest(_)
            | ClientRequest::GetTaskRequest(_)
            | ClientRequest::UpdateTaskRequest(_)
            | ClientRequest::CancelTaskRequest(_)
    );
    if let (true, Some(Value::Object(params))) = (is_passed_on, params) {
        request.request.extensions_mut().insert(RawParams(params));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn raw_params_for_server_have_no_connection_metadata() {
        let for_server = |params: Value| match params {
            Value::Object(params) => Value::Object(RawParams(params).for_server()),
            _ => panic!("{params}"),
        };
        let meta = json!({"progressToken": 1, "io.modelcontextprotocol/clientInfo": {}, "traceparent": "00"});
        let params = json!({"name": "t", "_meta": meta, "x-unknown": [1]});
        let expected = json!({"name": "t", "_meta": {"traceparent": "00"}, "x-unknown": [1]});
        assert_eq!(for_server(params), expected);
        assert_eq!(for_server(json!({"name": "t", "_meta": {"progressToken": 1}})), json!({"name": "t"}));
    }
}
