//! Words that this house does not use in the names it gives.

use proc_macro2::Ident;
use syn::visit::Visit;

use super::{
    Fault, House,
    source::{Kind, Source},
};

/// A word in a name, what to say instead, and how much of the name it must be.
struct Banned {
    word: &'static str,
    instead: &'static str,
    place: Place,
}

enum Place {
    /// Any word of it.
    Anywhere,
    /// How it begins, and not for a type: a tool may well be a `GetCredentials`.
    Start,
    /// Its last word, and only for a type.
    TypeEnd,
}

const fn banned(place: Place, word: &'static str, instead: &'static str) -> Banned {
    Banned { word, instead, place }
}

const BANNED: [Banned; 14] = [
    banned(Place::Start, "get_credentials", "say `credentials` or `provide`"),
    banned(Place::Start, "load_credentials", "say `provide`"),
    banned(Place::Start, "fetch_credentials", "say `provide`"),
    banned(Place::TypeEnd, "loader", "say provider"),
    banned(Place::TypeEnd, "fetcher", "say provider"),
    banned(Place::TypeEnd, "manager", "name what it does"),
    banned(Place::Anywhere, "creds", "say credentials"),
    banned(Place::Anywhere, "expires_in", "say `expires_at` for an instant, `lifetime` for a duration"),
    banned(Place::Anywhere, "slack", "say advisory or mandatory window"),
    banned(Place::Anywhere, "min_ttl", "say advisory or mandatory window"),
    banned(Place::Anywhere, "buffer_time", "say advisory or mandatory window"),
    banned(Place::Anywhere, "retryable", "say transient"),
    banned(Place::Anywhere, "recoverable", "say transient"),
    banned(Place::Anywhere, "not_loaded", "say not configured"),
];

pub(crate) fn check(house: &House) -> Vec<Fault> {
    house
        .of_kind(Kind::Production)
        .filter(|source| source.path.starts_with("crates/"))
        .flat_map(check_file)
        .collect()
}

fn check_file(source: &Source) -> Vec<Fault> {
    let mut given = Given::default();
    given.visit_file(&source.syntax);
    given.names.iter().filter_map(|name| check_name(source, name)).collect()
}

fn check_name(source: &Source, name: &Ident) -> Option<Fault> {
    let (text, line) = (name.to_string(), name.span().start().line);
    // Secrets Manager is what the service is called.
    let snake = snake(&text).replace("secrets_manager", "secrets");
    let is_type = text.starts_with(char::is_uppercase);
    let found = BANNED.iter().find(|banned| banned.is_in(&snake, is_type))?;
    let tested = source.is_test_line(line);
    (!tested).then(|| {
        Fault::new(&source.path, line, format!("a name with `{}`: `{text}`", found.word), found.instead)
    })
}

impl Banned {
    fn is_in(&self, name: &str, is_type: bool) -> bool {
        let (name, word) = (format!("_{name}_"), format!("_{}_", self.word));
        match self.place {
            Place::Anywhere => name.contains(&word),
            Place::Start => !is_type && name.starts_with(&word),
            Place::TypeEnd => is_type && name.ends_with(&word),
        }
    }
}

/// `CredsLoader`, `creds_loader` and `CREDS_LOADER` are one name.
fn snake(name: &str) -> String {
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

/// The names that a file gives; those that it only uses may be somebody else's.
#[derive(Default)]
struct Given {
    names: Vec<Ident>,
}

macro_rules! collect {
    ($($visit:ident: $node:ident),* $(,)?) => {
        impl<'ast> Visit<'ast> for Given {
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

    fn faults(text: &str) -> usize {
        check(&House::of([("crates/core/src/x.rs", text)])).len()
    }

    #[test]
    fn banned_words_are_found_in_every_kind_of_name() {
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
            assert_eq!(faults(text), 1, "{text}");
        }
    }

    #[test]
    fn strings_uses_and_longer_words_are_free() {
        assert_eq!(faults("struct SecretsManager;\nstruct GetCredentials;"), 0);
        let text = "fn credentials() { other.creds(\"get_credentials\"); let screeds = x.expires_in; }";
        assert_eq!(faults(text), 0);
    }
}
