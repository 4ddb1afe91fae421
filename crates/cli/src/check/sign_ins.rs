//! Warnings of `check` about sign-ins that ended, so that they are renewed before a fetch fails.

use valetkey::backends::AmbientProvider;

use crate::settings::{Diagnostic, ProviderSettings, Settings};

/// Returns a warning for each account whose profile needs a sign-in that has ended. Does not call AWS.
pub(super) async fn ended_sign_ins(settings: &Settings) -> Vec<Diagnostic> {
    let mut ended = Vec::new();
    for (name, account) in &settings.accounts {
        let (provider, key): (_, &[&str]) = match &account.provider {
            ProviderSettings::Profile(profile) => {
                (AmbientProvider::profile(&profile.name), &["accounts", name, "name"])
            }
            ProviderSettings::DefaultChain(_) => (AmbientProvider::default_chain(), &["accounts", name]),
            _ => continue,
        };
        if let Err(error) = provider.check_sign_in().await {
            let step = error.next_step().unwrap_or_default();
            let what = format!("leads to a profile whose sign-in ended, or was never made; {step}");
            ended.push(settings.diagnostic(key, what));
        }
    }
    ended
}
