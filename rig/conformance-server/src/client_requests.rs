//! The tools that notify the client, or send requests to it, during a call.

// Sampling and logging are deprecated in rmcp, and tested nevertheless.
#![allow(deprecated)]

use std::time::Duration;

use rmcp::model::{
    CallToolResult, ContentBlock, CreateMessageRequestParams, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, SamplingMessage,
};
use rmcp::service::{RequestContext, ServiceError};
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::catalog::Catalog;

type Context = RequestContext<RoleServer>;

/// The pause between two notifications, so that the suite receives each one by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls the tool, unless it is none of these.
pub(crate) async fn call(
    catalog: &Catalog,
    name: &str,
    arguments: &Map<String, Value>,
    context: &Context,
) -> Result<Option<CallToolResult>, ErrorData> {
    let text = match name {
        "test_tool_with_logging" => send_logs(context).await,
        "test_logging_tool" => send_requested_log(context).await,
        "test_tool_with_progress" => send_progress(context).await,
        "test_sampling" => create_message(arguments, context).await,
        _ => match catalog.elicitation(name, arguments) {
            Some(request) => {
                context.peer.create_elicitation(request).await.map(|answer| json!(answer).to_string())
            }
            None => return Ok(None),
        },
    };
    match text {
        Ok(text) => Ok(Some(CallToolResult::success(vec![ContentBlock::text(text)]))),
        Err(ServiceError::McpError(error)) => Err(error),
        Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
    }
}

async fn send_logs(context: &Context) -> Result<String, ServiceError> {
    for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        send_log(context, LoggingLevel::Info, text).await?;
        sleep(PAUSE).await;
    }
    Ok("Three log messages sent".to_owned())
}

/// Sends a message only if the request has a log level, as the modern revision specifies.
async fn send_requested_log(context: &Context) -> Result<String, ServiceError> {
    if let Some(level) = context.meta.log_level() {
        send_log(context, level, "The request has a log level").await?;
    }
    Ok("The log level was respected".to_owned())
}

async fn send_log(context: &Context, level: LoggingLevel, text: &str) -> Result<(), ServiceError> {
    let message = LoggingMessageNotificationParam::new(level, json!(text)).with_logger("conformance");
    context.peer.notify_logging_message(message).await
}

async fn send_progress(context: &Context) -> Result<String, ServiceError> {
    let Some(token) = context.meta.get_progress_token() else { return Ok("No progress token".to_owned()) };
    for (progress, text) in [(0.0, "Started"), (50.0, "Half done"), (100.0, "Done")] {
        let report =
            ProgressNotificationParam::new(token.clone(), progress).with_total(100.0).with_message(text);
        context.peer.notify_progress(report).await?;
        sleep(PAUSE).await;
    }
    Ok(json!(token).to_string())
}

async fn create_message(arguments: &Map<String, Value>, context: &Context) -> Result<String, ServiceError> {
    let prompt = arguments.get("prompt").and_then(Value::as_str).unwrap_or_default();
    let request = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    let sample = context.peer.create_message(request).await?;
    let text = sample.message.content.first().and_then(|content| content.as_text());
    Ok(format!("LLM response: {}", text.map_or("", |content| content.text.as_str())))
}
