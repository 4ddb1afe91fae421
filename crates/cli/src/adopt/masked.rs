//! Masks the values of a JSON file that may be secret, so that a change to it can be displayed.

use jsonc_parser::cst::{CstNode, CstRootNode};

use super::client_file::PARSE_OPTIONS;
use super::references::is_reference;

const MASK: &str = "…";

/// Variables whose values are names of public things.
const SHOWN_VARS: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "FASTMCP_LOG_LEVEL",
    "LOG_LEVEL",
];

/// Keys whose values describe the server. Every other value is masked.
const SHOWN_KEYS: &[&str] = &["type", "transport", "id", "version"];

/// Keys whose values may contain a secret as one of their words.
const PARTLY_SHOWN_KEYS: &[&str] = &["command", "cwd", "url", "serverUrl", "httpUrl", "args"];

/// Parts of the name of an option or a variable with a secret value.
const SECRET_NAMES: &[&str] =
    &["token", "key", "secret", "password", "passwd", "auth", "credential", "header", "cookie", "pat", "dsn"];

/// A word of this length with letters and digits may be a key.
const MIN_KEY_LEN: usize = 16;

/// Returns the text with possible secrets and all comments masked. Its lines are those of `text`.
pub(super) fn mask_secrets(text: &str) -> String {
    let Ok(root) = CstRootNode::parse(text, &PARSE_OPTIONS) else { return MASK.to_owned() };
    root.children().into_iter().for_each(|node| mask_node(&node, &Context::default()));
    root.to_string()
}

/// The position of a node: the key whose value it is, the key around that, and the argument before it.
#[derive(Debug, Clone, Default)]
struct Context {
    key: String,
    parent: String,
    follows_secret_option: bool,
}

impl Context {
    fn child(&self, key: String) -> Self {
        Self { key, parent: self.key.clone(), follows_secret_option: false }
    }

    fn masked(&self, value: &str) -> String {
        let is_literal = is_reference(value) || ["true", "false", ""].contains(&value);
        let is_shown_var = self.parent == "env" && SHOWN_VARS.contains(&self.key.as_str());
        if is_literal || is_shown_var || (self.parent != "env" && SHOWN_KEYS.contains(&self.key.as_str())) {
            value.to_owned()
        } else if self.follows_secret_option || self.parent == "env" {
            MASK.to_owned()
        } else if PARTLY_SHOWN_KEYS.contains(&self.key.as_str()) {
            mask_word(value)
        } else {
            MASK.to_owned()
        }
    }
}

fn mask_node(node: &CstNode, context: &Context) {
    if let Some(object) = node.as_object() {
        for property in object.properties() {
            let child = context.child(property.decoded_name().unwrap_or_default());
            property.value().iter().for_each(|value| mask_node(value, &child));
            property
                .children()
                .iter()
                .filter(|child| child.is_comment())
                .for_each(|node| mask_node(node, &child));
        }
        object.children().iter().filter(|child| child.is_comment()).for_each(|node| mask_node(node, context));
    } else if node.as_array().is_some() {
        let mut context = context.clone();
        for child in node.children() {
            mask_node(&child, &context);
            if let Some(text) = child.as_string_lit().and_then(|text| text.decoded_value().ok()) {
                context.follows_secret_option = is_secret_option(&text);
            }
        }
    } else if let Some(text) = node.as_string_lit() {
        let value = text.decoded_value().unwrap_or_default();
        let masked = context.masked(&value);
        if masked != value {
            text.set_raw_value(format!("\"{masked}\""));
        }
    } else if let Some(comment) = node.as_comment() {
        comment.set_raw_value(masked_comment(&comment.raw_value()));
    }
}

/// Keeps the line breaks of a comment.
fn masked_comment(comment: &str) -> String {
    let breaks = "\n".repeat(comment.matches('\n').count());
    if comment.starts_with("//") { format!("// {MASK}") } else { format!("/* {MASK}{breaks} */") }
}

fn is_secret_option(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && has_secret_name(word)
}

fn has_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Masks an argument, a path or a URL, as far as it may be secret.
fn mask_word(word: &str) -> String {
    if let Some((name, value)) = word.split_once('=')
        && !is_reference(value)
        && (has_secret_name(name) || is_variable(name) || looks_like_key(value))
    {
        return format!("{}={MASK}", mask_word(name));
    }
    if let Some((scheme, rest)) = word.split_once("://") {
        let has_secret = rest.contains(['@', '?', '#']) || rest.split('/').any(looks_like_key);
        return if has_secret { format!("{scheme}://{MASK}") } else { word.to_owned() };
    }
    let is_sentence = word.contains(char::is_whitespace) || word.contains(['\\', '"']);
    if is_sentence || looks_like_secret_key(word) || word.split(['/', ':', ',', '@']).any(looks_like_key) {
        MASK.to_owned()
    } else {
        word.to_owned()
    }
}

/// Whether a word looks random: long, of letters and digits, and not the name of a package.
fn looks_like_key(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let (digits, letters) =
        (word.chars().filter(char::is_ascii_digit).count(), word.chars().any(|c| c.is_ascii_alphabetic()));
    let min_digits = if word.contains('-') { 2 } else { 1 };
    word.len() >= MIN_KEY_LEN && word.chars().all(is_plain) && digits >= min_digits && letters
}

/// Whether a word has the form of a secret access key, which may contain slashes.
fn looks_like_secret_key(word: &str) -> bool {
    let is_base64 = word.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    word.len() >= 2 * MIN_KEY_LEN
        && is_base64
        && !word.starts_with('/')
        && word.contains(|c: char| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_secrets_hides_values_and_comments() {
        let text = r#"{
  // token canary1
  "oauth": {"access": "canary2", "n": 5},
  "mcpServers": {
    "a": {
      "command": "npx", /* canary3
      */
      "args": ["-y", "pkg@1.2", "--api-key", "canary4", "--token=canary5", "https://u:canary6@h/x", "sk-canary7aaaaaaaaaa99"],
      "env": {"TOKEN": "canary8", "AWS_PROFILE": "dev", "REF": "${input:x}", "ON": "true"},
      "headers": {"Authorization": "Bearer canary9"},
      "type": "stdio", // canary10
    },
  },
}"#;
        let masked = mask_secrets(text);
        assert!(!masked.contains("canary"), "{masked}");
        assert_eq!(masked.lines().count(), text.lines().count(), "{masked}");
        for shown in
            ["\"npx\"", "pkg@1.2", "\"dev\"", "${input:x}", "\"true\"", "--token=…", "\"stdio\"", "https://…"]
        {
            assert!(masked.contains(shown), "{shown}: {masked}");
        }
    }

    #[test]
    fn mask_word_shows_names_of_packages_and_paths() {
        for word in [
            "awslabs.aws-api-mcp-server@latest",
            "@modelcontextprotocol/server-filesystem",
            "/srv/notes",
            "--read-only",
            "--dir=/srv",
        ] {
            assert_eq!(mask_word(word), word);
        }
        for word in ["AKIAIOSFODNN7EXAMPLE", "KEY=x", "a b", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"] {
            assert!(mask_word(word).ends_with(MASK), "{word}");
        }
    }
}
