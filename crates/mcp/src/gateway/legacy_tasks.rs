//! Tasks of the revision 2025-11-25, which rmcp does not have: the capability, the requests and the results.
//!
//! A client adds `task` to a call of a tool that supports it. The result is then `{"task": {…}}`, and the client follows
//! the task by `tasks/get`, `tasks/result`, which waits for the end, and `tasks/cancel`. The capability `tasks.list` is
//! not declared: a client knows the tasks that it has started, and pages of several servers cannot be joined.

use rmcp::RoleServer;
use rmcp::model::{
    ClientRequest, InitializeResult, JsonRpcMessage, ProtocolVersion, ServerResult, TASKS_EXTENSION_ID,
};
use rmcp::service::TxJsonRpcMessage;
use serde_json::{Map, Value, json};

use crate::host::ItemMethod;

/// The parameter that makes a call a task.
pub(super) const TASK: &str = "task";

/// Declares tasks to a client whose revision has them, as an extension, for which rmcp's model has a field. The
/// response is then to be written by [`with_task_capability`].
pub(super) fn declare_tasks(result: &mut InitializeResult) {
    let has_tasks = result.protocol_version == ProtocolVersion::V_2025_11_25;
    let extension = || [(TASKS_EXTENSION_ID.to_owned(), Map::new())].into_iter().collect();
    result.capabilities.extensions = has_tasks.then(extension);
}

/// Returns the response to `initialize` with the capability for tasks, if they were declared. Returns `None` for any
/// other message.
pub(crate) fn with_task_capability(message: &TxJsonRpcMessage<RoleServer>) -> Option<Value> {
    let JsonRpcMessage::Response(response) = message else { return None };
    let ServerResult::InitializeResult(result) = &response.result else { return None };
    if !result.capabilities.supports_tasks() {
        return None;
    }
    let mut message = serde_json::to_value(message).ok()?;
    let capabilities = message["result"]["capabilities"].as_object_mut()?;
    capabilities.shift_remove("extensions");
    capabilities.insert("tasks".to_owned(), json!({"cancel": {}, "requests": {"tools": {"call": {}}}}));
    Some(message)
}

/// Returns the method of a request for a task. rmcp decodes those that the modern protocol does not have, or has with
/// other parameters, as custom requests.
pub(super) fn task_method(request: &ClientRequest) -> Option<ItemMethod> {
    match request {
        ClientRequest::GetTaskRequest(_) => Some(ItemMethod::GetTask),
        ClientRequest::CancelTaskRequest(_) => Some(ItemMethod::CancelTask),
        ClientRequest::CustomRequest(custom) => {
            let methods = [ItemMethod::GetTask, ItemMethod::TaskResult, ItemMethod::CancelTask];
            methods.into_iter().find(|method| method.name() == custom.method)
        }
        _ => None,
    }
}

/// Whether the result of a call is a task, and not yet what the tool returns.
pub(super) fn is_task(result: &Map<String, Value>) -> bool {
    result.get(TASK).is_some_and(Value::is_object) && !result.contains_key("content")
}
