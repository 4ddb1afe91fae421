//! Selects the account to use when none is named.

use super::{Diagnostic, Settings};

impl Settings {
    /// Returns the configured account, else `default`, else the only account that the session may use. `None` if there
    /// are several to choose from, or none.
    pub(crate) fn default_account(&self) -> Option<&str> {
        let names = self.allowed_accounts();
        let configured = self.session.default_account.as_deref().filter(|name| names.contains(name));
        let named_default = names.iter().copied().find(|name| *name == "default");
        configured.or(named_default).or(if let [only] = names[..] { Some(only) } else { None })
    }

    /// Reports a missing default account for a command that needs one, and the remedy. A session without a principal is
    /// not checked, because each principal may have one account.
    pub(crate) fn missing_default_account(&self, remedy: &str) -> Option<Diagnostic> {
        let names = self.allowed_accounts();
        let has_principal = self.principals.is_empty() || self.session.principal.is_some();
        // A configured account that does not exist is reported separately.
        let configured = self.session.default_account.as_deref();
        let is_valid = self.invalid_accounts.is_empty()
            && configured.is_none_or(|name| self.allows_for_any_principal(name));
        if names.len() < 2 || !has_principal || !is_valid || self.default_account().is_some() {
            return None;
        }
        let what = format!(
            "needs a `default_account`, because there are several accounts; name one of: {}{remedy}",
            names.join(", ")
        );
        Some(self.diagnostic(&["session"], what))
    }

    fn allowed_accounts(&self) -> Vec<&str> {
        self.accounts.keys().map(String::as_str).filter(|name| self.allows(name)).collect()
    }
}
