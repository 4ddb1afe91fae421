//! The tools that become tasks when the client supports them (SEP-2663).

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, InputRequest,
    InputResponses,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

const MOMENT: Duration = Duration::from_millis(200);

/// A tool that can be a task.
#[derive(Clone, Copy)]
enum Job {
    SlowCompute,
    Failing,
    ProtocolError,
    ConfirmDelete,
    MultiInput,
    Greeting,
}

impl Job {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "slow_compute" => Self::SlowCompute,
            "failing_job" => Self::Failing,
            "protocol_error_job" => Self::ProtocolError,
            "confirm_delete" => Self::ConfirmDelete,
            "multi_input" => Self::MultiInput,
            "test_tool_with_task" => Self::Greeting,
            _ => return None,
        })
    }

    /// Whether the job is refused to a client without support for tasks.
    fn is_task_only(self) -> bool {
        !matches!(self, Self::SlowCompute | Self::ProtocolError)
    }
}

/// Calls the tool, unless it is none of these. A client that supports tasks gets a task.
pub(crate) async fn call(
    tasks: &TaskManager,
    name: &str,
    arguments: &Map<String, Value>,
    capabilities: &ClientCapabilities,
) -> Result<Option<CallToolResponse>, ErrorData> {
    if name == "greet" {
        return Ok(Some(greeting(arguments.get("name")).into()));
    }
    let Some(job) = Job::named(name) else { return Ok(None) };
    if capabilities.supports_tasks() {
        let arguments = arguments.clone();
        let task = tasks.spawn(TaskOptions::default(), move |context| run_as_task(job, arguments, context));
        return Ok(Some(CreateTaskResult::new(task).into()));
    }
    if job.is_task_only() {
        let required = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(required));
    }
    run_without_input(job, arguments).await.map(|result| Some(result.into()))
}

/// Adds the response that a task continues with to the arguments of `test_tool_with_task`.
pub(crate) fn add_name(arguments: &mut Map<String, Value>, responses: Option<&InputResponses>) {
    if let Some(name) =
        responses.and_then(|responses| responses.get("user_name")).map(|name| &name["content"]["name"])
    {
        arguments.insert("name".to_owned(), name.clone());
    }
}

fn run_as_task(job: Job, arguments: Map<String, Value>, context: TaskContext) -> TaskFuture {
    Box::pin(async move {
        match job {
            Job::ConfirmDelete => confirm_delete(&arguments, &context).await,
            Job::MultiInput => gather_two(&context).await,
            _ => tokio::select! {
                () = context.cancelled() => Err(TaskExit::Cancelled),
                result = run_without_input(job, &arguments) => result.map_err(TaskExit::Error),
            },
        }
    })
}

async fn run_without_input(job: Job, arguments: &Map<String, Value>) -> Result<CallToolResult, ErrorData> {
    match job {
        Job::SlowCompute => {
            let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
            sleep(Duration::from_secs_f64(seconds.clamp(0.0, 60.0))).await;
            let label = arguments.get("label").and_then(Value::as_str).unwrap_or("compute");
            Ok(text_result(format!("{label}: done after {seconds} s")))
        }
        Job::ProtocolError => {
            sleep(MOMENT).await;
            Err(ErrorData::internal_error("The job fails with a protocol error", None))
        }
        Job::Failing => {
            sleep(MOMENT).await;
            Ok(CallToolResult::error(vec![ContentBlock::text("The job returns an error result")]))
        }
        _ => {
            sleep(MOMENT).await;
            Ok(greeting(arguments.get("name")))
        }
    }
}

async fn confirm_delete(
    arguments: &Map<String, Value>,
    context: &TaskContext,
) -> Result<CallToolResult, TaskExit> {
    let file = arguments.get("filename").and_then(Value::as_str).unwrap_or("file.txt");
    let answer = request_input(context, "confirm", &format!("Delete {file}?"), "boolean").await?;
    Ok(text_result(format!("confirmed: {}", answer["content"]["confirm"])))
}

async fn gather_two(context: &TaskContext) -> Result<CallToolResult, TaskExit> {
    let (first, second) = tokio::join!(
        request_input(context, "input-a", "Provide value A", "string"),
        request_input(context, "input-b", "Provide value B", "string"),
    );
    Ok(text_result(json!([first?["content"], second?["content"]]).to_string()))
}

async fn request_input(
    context: &TaskContext,
    key: &str,
    message: &str,
    kind: &str,
) -> Result<Value, TaskExit> {
    let field = if kind == "boolean" { "confirm" } else { "value" };
    let schema = json!({"type": "object", "properties": {field: {"type": kind}}, "required": [field]});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    let request: Result<InputRequest, _> =
        serde_json::from_value(json!({"method": "elicitation/create", "params": params}));
    let request = request
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
        .map_err(TaskExit::Error)?;
    context.request_input(key, request).await
}

fn greeting(name: Option<&Value>) -> CallToolResult {
    text_result(format!("Hello, {}!", name.and_then(Value::as_str).unwrap_or("friend")))
}

fn text_result(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}
