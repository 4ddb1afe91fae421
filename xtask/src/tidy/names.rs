//! Rejects names with banned words.

use proc_macro2::Ident;
use syn::visit::Visit;

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile},
};

/// A banned word, its replacement, and its position in a name.
struct BannedWord {
    text: &'static str,
    replacement: &'static str,
    position: WordPosition,
}

enum WordPosition {
    /// Any word of the name.
    Anywhere,
    /// The first word of a name that is not a type: a tool may be named `GetCredentials`.
    Prefix,
    /// The last word of a type name.
    TypeSuffix,
}

const fn banned_word(place: WordPosition, word: &'static str, instead: &'static str) -> BannedWord {
    BannedWord { text: word, replacement: instead, position: place }
}

const BANNED_WORDS: [BannedWord; 14] = [
    banned_word(WordPosition::Prefix, "get_credentials", "say `credentials` or `provide`"),
    banned_word(WordPosition::Prefix, "load_credentials", "say `provide`"),
    banned_word(WordPosition::Prefix, "fetch_credentials", "say `provide`"),
    banned_word(WordPosition::TypeSuffix, "loader", "say provider"),
    banned_word(WordPosition::TypeSuffix, "fetcher", "say provider"),
    banned_word(WordPosition::TypeSuffix, "manager", "name what it does"),
    banned_word(WordPosition::Anywhere, "creds", "say credentials"),
    banned_word(
        WordPosition::Anywhere,
        "expires_in",
        "say `expires_at` for an instant, `lifetime` for a duration",
    ),
    banned_word(WordPosition::Anywhere, "slack", "say advisory or mandatory window"),
    banned_word(WordPosition::Anywhere, "min_ttl", "say advisory or mandatory window"),
    banned_word(WordPosition::Anywhere, "buffer_time", "say advisory or mandatory window"),
    banned_word(WordPosition::Anywhere, "retryable", "say transient"),
    banned_word(WordPosition::Anywhere, "recoverable", "say transient"),
    banned_word(WordPosition::Anywhere, "not_loaded", "say not configured"),
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace
        .sources_of_kind(FileKind::Production)
        .filter(|source| source.path.starts_with("crates/"))
        .flat_map(check_file)
        .collect()
}

fn check_file(source: &SourceFile) -> Vec<Violation> {
    let mut given = DefinedNames::default();
    given.visit_file(&source.syntax);
    given.names.iter().filter_map(|name| check_name(source, name)).collect()
}

fn check_name(source: &SourceFile, name: &Ident) -> Option<Violation> {
    let (text, line) = (name.to_string(), name.span().start().line);
    // Secrets Manager is the name of the service.
    let snake = to_snake_case(&text).replace("secrets_manager", "secrets");
    let is_type = text.starts_with(char::is_uppercase);
    let found = BANNED_WORDS.iter().find(|banned| banned.matches(&snake, is_type))?;
    let tested = source.is_test_line(line);
    (!tested).then(|| {
        Violation::new(
            &source.path,
            line,
            format!("a name with `{}`: `{text}`", found.text),
            found.replacement,
        )
    })
}

impl BannedWord {
    fn matches(&self, name: &str, is_type: bool) -> bool {
        let (name, word) = (format!("_{name}_"), format!("_{}_", self.text));
        match self.position {
            WordPosition::Anywhere => name.contains(&word),
            WordPosition::Prefix => !is_type && name.starts_with(&word),
            WordPosition::TypeSuffix => is_type && name.ends_with(&word),
        }
    }
}

/// Converts a name to snake case: `CredsLoader`, `creds_loader` and `CREDS_LOADER` are the same name.
fn to_snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut after_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = letter.is_lowercase() || letter.is_numeric();
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The names that a file defines; names that it only uses may be defined by other crates.
#[derive(Default)]
struct DefinedNames {
    names: Vec<Ident>,
}

macro_rules! collect {
    ($($visit:ident: $node:ident),* $(,)?) => {
        impl<'ast> Visit<'ast> for DefinedNames {
            $(fn $visit(&mut self, node: &'ast syn::$node) {
                self.names.push(node.ident.clone());
                syn::visit::$visit(self, node);
            })*

            fn visit_field(&mut self, node: &'ast syn::Field) {
                self.names.extend(node.ident.clone());
                syn::visit::visit_field(self, node);
            }

            fn visit_signature(&mut self, node: &'ast syn::Signature) {
                self.names.push(node.ident.clone());
                syn::visit::visit_signature(self, node);
            }
        }
    };
}

collect! {
    visit_pat_ident: PatIdent,
    visit_item_struct: ItemStruct,
    visit_item_enum: ItemEnum,
    visit_item_trait: ItemTrait,
    visit_item_type: ItemType,
    visit_item_mod: ItemMod,
    visit_item_const: ItemConst,
    visit_item_static: ItemStatic,
    visit_variant: Variant,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_count(text: &str) -> usize {
        check(&Workspace::from_files([("crates/core/src/x.rs", text)])).len()
    }

    #[test]
    fn check_banned_word_in_any_name_is_violation() {
        for text in [
            "fn get_credentials_for() {}",
            "fn f(creds: X) {}",
            "fn f() { let old_creds = 1; }",
            "struct X { expires_in: u8 }",
            "struct AwsCreds;",
            "struct KeyLoader;",
            "enum E { NotRetryable }",
            "const MIN_TTL: u8 = 1;",
        ] {
            assert_eq!(violation_count(text), 1, "{text}");
        }
    }

    #[test]
    fn check_strings_uses_and_longer_words_pass() {
        assert_eq!(violation_count("struct SecretsManager;\nstruct GetCredentials;"), 0);
        let text = "fn credentials() { other.creds(\"get_credentials\"); let screeds = x.expires_in; }";
        assert_eq!(violation_count(text), 0);
    }
}
