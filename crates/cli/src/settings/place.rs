//! Finding the line of a key, so that a fault can be opened in an editor.

use std::path::{Path, PathBuf};

use super::Fault;

/// A settings file and its text.
#[derive(Debug, Default)]
pub(super) struct Place {
    path: PathBuf,
    text: String,
}

impl Place {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(super) fn is_nowhere(&self) -> bool {
        self.path.as_os_str().is_empty()
    }

    /// A fault in `section`, at `key` if it can be found there.
    pub(super) fn fault(&self, section: &str, key: Option<&str>, what: String) -> Fault {
        let subject = key.map_or_else(|| format!("[{section}]"), |key| format!("[{section}] `{key}`"));
        Fault { file: self.path.clone(), line: self.line_of(section, key), what: format!("{subject} {what}") }
    }

    /// A fault at a byte of the text.
    pub(super) fn at(&self, byte: Option<usize>, what: &str) -> Fault {
        let line = byte.and_then(|byte| self.text.get(..byte)).map(|before| before.matches('\n').count() + 1);
        Fault { file: self.path.clone(), line, what: what.to_owned() }
    }

    fn line_of(&self, section: &str, key: Option<&str>) -> Option<usize> {
        let header = |line: &str| {
            line.trim()
                .strip_prefix('[')
                .and_then(|rest| Some(rest.split_once(']')?.0.trim().replace('"', "")))
        };
        let lines = || self.text.lines().enumerate();
        let (start, _) = lines().find(|(_, line)| header(line).as_deref() == Some(section))?;
        let named = |line: &str| {
            key.is_some_and(|key| line.split_once('=').is_some_and(|(name, _)| name.trim() == key))
        };
        let in_section = lines().skip(start + 1).take_while(|(_, line)| header(line).is_none());
        let at_key = in_section.into_iter().find(|(_, line)| named(line)).map(|(index, _)| index);
        Some(at_key.unwrap_or(start) + 1)
    }
}

/// What a reader complains about, if that names no value: a value may be a key that was pasted into the wrong line.
pub(super) fn without_values(error: &toml::de::Error) -> String {
    let message = error.message();
    if message.starts_with("unknown field") || message.starts_with("missing field") {
        return message.to_owned();
    }
    if message.starts_with("unknown variant") {
        let expected = message.split_once(", expected").map_or("", |(_, expected)| expected);
        return format!("has an unknown choice; expected{expected}");
    }
    "holds a value of the wrong type; see the table of settings".to_owned()
}
