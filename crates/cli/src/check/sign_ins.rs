//! Warnings of `check` about sign-ins that ended, so that they are renewed before a fetch fails.

use valetkey::backends::{DefaultChainProvider, ProfileProvider};

use crate::settings::{Diagnostic, ProviderSettings, Settings};

/// Returns a warning for each account whose profile needs a sign-in that has ended. Does not call AWS.
pub(super) async fn ended_sign_ins(settings: &Settings) -> Vec<Diagnostic> {
    let mut ended = Vec::new();
    for (name, account) in &settings.accounts {
        let (result, key): (_, &[&str]) = match &account.provider {
            ProviderSettings::Profile(profile) => {
                (ProfileProvider::new(&profile.name).check_sign_in().await, &["accounts", name, "name"])
            }
            ProviderSettings::DefaultChain(_) => {
                (DefaultChainProvider::new().check_sign_in().await, &["accounts", name])
            }
            _ => continue,
        };
        if let Err(error) = result {
            let step = error.next_step().unwrap_or_default();
            let what = format!("leads to a profile whose sign-in ended, or was never made; {step}");
            ended.push(settings.diagnostic(key, what));
        }
    }
    ended
}
