//! References in texts: `${VAR}`, `${VAR:-default}` and `${env:VAR}` are resolved when the file is read,
//! `${session:…}` when a child starts. `$${` is a literal `${`.
//!
//! A text is expanded once, when a child starts. The value of a variable may contain any text, so references in it
//! are not expanded. References in a default are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use valetkey_core::{Error, Result};

/// Resolves the variables that a configuration file names. The caller provides the lookup function, so that parsing
/// reads nothing except the given text.
///
/// # Examples
/// ```
/// use std::collections::HashMap;
/// use valetkey_mcp::McpConfig;
/// use valetkey_mcp::config::VarLookup;
///
/// let values = HashMap::from([("PORT".to_owned(), "8080".to_owned())]);
/// let variables = VarLookup::new(move |name| values.get(name).cloned());
/// let text = r#"{"web": {"command": "web-server", "args": ["${PORT}", "${HOST:-localhost}"]}}"#;
/// assert!(McpConfig::parse(text, &variables)?.errors.is_empty());
///
/// let missing = r#"{"web": {"command": "web-server", "args": ["${TOKEN}"]}}"#;
/// assert_eq!(McpConfig::parse(missing, &variables)?.errors[0].error.field(), Some("args"));
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Clone)]
pub struct VarLookup(Arc<LookupFn>);

type LookupFn = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The values of one server's references, as resolved when the file was read.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct ResolvedVars(BTreeMap<String, ResolvedVar>);

/// The value of a reference. A default is kept as text, because it may refer to the session, which exists only later.
#[derive(Clone, PartialEq)]
enum ResolvedVar {
    Value(String),
    /// The variable is not set, so the default is expanded instead.
    Default(String),
}

impl VarLookup {
    /// Creates a lookup that calls `lookup` with the name of each variable.
    ///
    /// `lookup` returns `None` for a variable that is not set. An empty value counts as not set too, as with
    /// `${VAR:-…}` in a shell.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::McpConfig;
    /// use valetkey_mcp::config::VarLookup;
    ///
    /// let variables = VarLookup::new(|name| (name == "PORT").then(String::new));
    /// let text = r#"{"web": {"command": "web-server", "args": ["${PORT}"]}}"#;
    /// assert_eq!(McpConfig::parse(text, &variables)?.errors[0].error.field(), Some("args"));
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Returns the value of a variable; an empty value counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Resolves the references in `text`, except those to the session, and adds their values to `resolved`.
    ///
    /// # Errors
    /// Returns `Invalid`, naming `field` and the variable, if a variable without a default is not set. Returns
    /// `Invalid`, naming `field`, if a brace is not closed.
    pub(super) fn resolve(&self, field: &str, text: &str, resolved: &mut ResolvedVars) -> Result<()> {
        expand_references(field, text, |reference| {
            if !reference.starts_with(SESSION_PREFIX) {
                let value = self.resolve_reference(field, reference)?;
                if let ResolvedVar::Default(default) = &value {
                    self.resolve(field, default, resolved)?;
                }
                resolved.0.insert(reference.to_owned(), value);
            }
            Ok(String::new())
        })?;
        Ok(())
    }

    fn resolve_reference(&self, field: &str, reference: &str) -> Result<ResolvedVar> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        match (self.get(name), default) {
            (Some(value), _) => Ok(ResolvedVar::Value(value)),
            (None, Some(default)) => Ok(ResolvedVar::Default(default.to_owned())),
            (None, None) => Err(unset_variable_error(field, name)),
        }
    }
}

/// Gives specific advice for references that only editors can resolve.
fn unset_variable_error(field: &str, name: &str) -> Error {
    let editor_reference_error = |what: &str, step: String| {
        Error::invalid(field.to_owned(), format!("has `${{{name}}}`, {what}")).with_next_step(step)
    };
    if let Some(input) = name.strip_prefix("input:") {
        let variable = input.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let step = format!("write `${{{variable}}}`, and set that environment variable where valetkey runs");
        return editor_reference_error("for which VS Code prompts; valetkey cannot", step);
    }
    if name.starts_with("workspaceFolder")
        || matches!(name, "userHome" | "pathSeparator" | "cwd")
        || name.starts_with("config:")
        || name.starts_with("command:")
    {
        let step = "write the path itself, or a variable such as `${HOME}` or `${PWD}`".to_owned();
        return editor_reference_error("which VS Code fills in; valetkey does not know the workspace", step);
    }
    let unset = format!("needs the environment variable `{name}`, which is not set");
    Error::invalid(field.to_owned(), unset)
        .with_next_step(format!("set it, or write `${{{name}:-default}}`; a literal `${{` is `$${{`"))
}

const SESSION_PREFIX: &str = "session:";

impl ResolvedVars {
    /// Returns `text` with every reference replaced. `fact` is called with the name after `session:`.
    ///
    /// # Errors
    /// Returns `Invalid`, naming `field`, for a session variable that the session does not have.
    pub(crate) fn expand(
        &self,
        field: &str,
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String> {
        expand_references(field, text, |reference| match reference.strip_prefix(SESSION_PREFIX) {
            Some(name) => variable(name).ok_or_else(|| unknown_session_variable_error(field)),
            None => match self.0.get(reference) {
                Some(ResolvedVar::Value(value)) => Ok(value.clone()),
                Some(ResolvedVar::Default(default)) => self.expand(field, default, variable),
                None => Err(unknown_session_variable_error(field)),
            },
        })
    }
}

fn unknown_session_variable_error(field: &str) -> Error {
    Error::invalid(field.to_owned(), "names a session variable that this session does not have")
        .with_next_step("use `${session:id}`, or `${session:region}` in a session with a region")
}

/// Replaces each reference in `text` by what `value` returns for the text between its braces.
fn expand_references(
    field: &str,
    text: &str,
    mut value: impl FnMut(&str) -> Result<String>,
) -> Result<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let end = find_closing_brace(after).ok_or_else(|| {
            Error::invalid(field.to_owned(), "has a `${` without its `}`")
                .with_next_step("close it, or write `$${` for a literal `${`")
        })?;
        expanded.push_str(before);
        expanded.push_str(&value(&after[..end])?);
        rest = &after[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Finds the `}` that closes a reference, skipping those of nested references.
fn find_closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

impl fmt::Debug for VarLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VarLookup").finish_non_exhaustive()
    }
}

/// Shows only the references, because values may be secret.
impl fmt::Debug for ResolvedVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
