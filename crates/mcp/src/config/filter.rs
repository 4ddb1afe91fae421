//! `ToolFilter`: the tools of a server that its configuration makes usable.

use serde_json::Value;
use valetkey_core::{Error, Result};

/// Restricts which tools of a server are listed and callable. By default, every tool is usable.
///
/// # Examples
/// ```
/// use valetkey_mcp::config::ToolFilter;
///
/// let mut filter = ToolFilter::default();
/// filter.deny = vec!["delete".to_owned()];
/// assert!(filter.allows("list"));
/// assert!(!filter.allows("delete"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolFilter {
    /// If present, only these tools are usable.
    pub allow: Option<Vec<String>>,
    /// These tools are not usable.
    pub deny: Vec<String>,
}

impl ToolFilter {
    /// Whether the tool is usable. `tool` is the server's own name of it.
    ///
    /// A tool that both lists name is not usable.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::config::ToolFilter;
    ///
    /// let mut filter = ToolFilter::default();
    /// filter.restrict_to(vec!["list".to_owned(), "delete".to_owned()]);
    /// filter.deny = vec!["delete".to_owned()];
    /// assert!(filter.allows("list"));
    /// assert!(!filter.allows("delete") && !filter.allows("get"));
    /// ```
    #[must_use]
    pub fn allows(&self, tool: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|name| name == tool);
        self.allow.as_deref().is_none_or(names) && !names(&self.deny)
    }

    /// Restricts the filter to `tools`. A second call leaves the tools that both lists name.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::config::ToolFilter;
    ///
    /// let mut filter = ToolFilter::default();
    /// filter.restrict_to(vec!["list".to_owned(), "get".to_owned()]);
    /// filter.restrict_to(vec!["get".to_owned(), "put".to_owned()]);
    /// assert!(filter.allows("get"));
    /// assert!(!filter.allows("list") && !filter.allows("put"));
    /// ```
    pub fn restrict_to(&mut self, tools: Vec<String>) {
        self.allow = Some(match self.allow.take() {
            Some(before) => before.into_iter().filter(|tool| tools.contains(tool)).collect(),
            None => tools,
        });
    }
}

/// Parses a list of tool names.
pub(super) fn parse_tool_names(field: &str, value: &Value) -> Result<Vec<String>> {
    let names = value.as_array().map(|list| list.iter().map(|name| name.as_str().map(str::to_owned)));
    names.and_then(Iterator::collect).ok_or_else(|| {
        Error::invalid(field.to_owned(), "must be an array of tool names")
            .with_next_step("list the tools by the server's own names for them")
    })
}
