//! What the server lists, and the contents that never change: read from the files in `data`.

use std::collections::BTreeMap;

use rmcp::model::{
    CallToolResult, ElicitRequestParams, GetPromptResult, InputRequest, Prompt, PromptMessage, Resource,
    ResourceContents, ResourceTemplate, Tool,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// All data of the server.
pub(crate) struct Catalog {
    pub(crate) tools: Vec<Tool>,
    /// The results of the tools that do nothing else.
    results: BTreeMap<String, CallToolResult>,
    pub(crate) prompts: Prompts,
    pub(crate) resources: Resources,
    pub(crate) inputs: Inputs,
    /// The parameters of the elicitation of each tool, with placeholders.
    elicitations: BTreeMap<String, Value>,
}

/// `data/prompts.json`
#[derive(Deserialize)]
pub(crate) struct Prompts {
    pub(crate) list: Vec<Prompt>,
    /// The messages of each prompt, with placeholders such as `{arg1}`.
    messages: BTreeMap<String, Value>,
}

/// `data/resources.json`
#[derive(Deserialize)]
pub(crate) struct Resources {
    pub(crate) list: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
    contents: Vec<Value>,
    /// The ids that complete the template.
    pub(crate) completions: Vec<String>,
}

/// `data/inputs.json`
#[derive(Deserialize)]
pub(crate) struct Inputs {
    pub(crate) requests: BTreeMap<String, InputRequest>,
    /// The keys of the requests that each tool or prompt makes, round by round.
    pub(crate) rounds: BTreeMap<String, Vec<Vec<String>>>,
    /// The tools that keep the round in a sealed request state.
    pub(crate) sealed: Vec<String>,
}

impl Catalog {
    pub(crate) fn read() -> serde_json::Result<Self> {
        Ok(Self {
            tools: serde_json::from_str(include_str!("../data/tools.json"))?,
            results: serde_json::from_str(include_str!("../data/results.json"))?,
            prompts: serde_json::from_str(include_str!("../data/prompts.json"))?,
            resources: serde_json::from_str(include_str!("../data/resources.json"))?,
            inputs: serde_json::from_str(include_str!("../data/inputs.json"))?,
            elicitations: serde_json::from_str(include_str!("../data/elicitations.json"))?,
        })
    }

    /// Returns the result of a tool that does nothing else, with the type that its JSON lacks.
    pub(crate) fn result(&self, tool: &str) -> Option<CallToolResult> {
        let result = self.results.get(tool)?.clone();
        let make =
            if result.is_error == Some(true) { CallToolResult::error } else { CallToolResult::success };
        Some(make(result.content))
    }

    /// Returns the parameters of the elicitation of this tool.
    pub(crate) fn elicitation(
        &self,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Option<ElicitRequestParams> {
        fill_placeholders(self.elicitations.get(tool)?, arguments)
    }
}

impl Prompts {
    /// Returns the messages of this prompt.
    pub(crate) fn get(&self, name: &str, arguments: &Map<String, Value>) -> Option<GetPromptResult> {
        let messages: Vec<PromptMessage> = fill_placeholders(self.messages.get(name)?, arguments)?;
        Some(GetPromptResult::new(messages))
    }
}

impl Resources {
    /// Returns the contents of the resource, or those that the template has for it.
    pub(crate) fn read(&self, uri: &str) -> Option<ResourceContents> {
        if let Some(contents) = self.contents.iter().find(|contents| contents["uri"] == uri) {
            return serde_json::from_value(contents.clone()).ok();
        }
        let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
        let text = serde_json::json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
        let contents =
            serde_json::json!({"uri": uri, "mimeType": "application/json", "text": text.to_string()});
        serde_json::from_value(contents).ok()
    }
}

/// Replaces each `{name}` in a text by the argument of this name.
fn fill_placeholders<T: DeserializeOwned>(value: &Value, arguments: &Map<String, Value>) -> Option<T> {
    let mut value = value.clone();
    fill(&mut value, arguments);
    serde_json::from_value(value).ok()
}

fn fill(value: &mut Value, arguments: &Map<String, Value>) {
    match value {
        Value::String(text) if text.contains('{') => {
            for (name, argument) in arguments {
                *text = text.replace(&format!("{{{name}}}"), argument.as_str().unwrap_or_default());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, arguments)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, arguments)),
        _ => {}
    }
}
