//! The error messages for names that are not one of the accounts.

use super::{Settings, suggest_name};

impl Settings {
    /// Returns the error message for `name`, which is not one of the accounts. It does not repeat the name.
    pub(crate) fn unknown_account_message(&self, name: &str) -> String {
        let names: Vec<&str> =
            self.accounts.keys().chain(&self.invalid_accounts).map(String::as_str).collect();
        match names.as_slice() {
            [] => "is not one of the accounts; add an `[accounts.NAME]`".to_owned(),
            _ => format!("is not one of the accounts; {}", suggest_name(name, &names)),
        }
    }

    /// Returns the error message for a list that has a name which is not one of the accounts.
    pub(crate) fn unknown_account_in_list_message(&self, list: &[String]) -> String {
        let unknown = list.iter().find(|name| !self.contains_account(name));
        let name = unknown.map(String::as_str).unwrap_or_default();
        self.unknown_account_message(name).replacen("is not", "holds what is not", 1)
    }
}
