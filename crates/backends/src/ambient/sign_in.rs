//! Profiles that a person signs in for, and the command that renews the sign-in.

use aws_config::profile::{ProfileSet, load};
use aws_types::os_shim_internal::{Env, Fs};

use super::chain::Choice;

/// How many profiles a chain of `source_profile` is followed through.
const MAX_PROFILE_CHAIN: usize = 16;

/// The command that renews the sign-in behind the profile that `choice` uses; `None` if there is none.
pub(super) async fn sign_in_command(choice: &Choice) -> Option<String> {
    let profiles = load(&Fs::real(), &Env::real(), &Default::default(), None).await.ok()?;
    let name = match choice {
        Choice::DefaultChain => profiles.selected_profile(),
        Choice::Profile(name) => name,
    };
    command_for_profile(&profiles, name)
}

/// Needs no quotes: the SDK skips profiles whose names a shell would take apart.
fn command_for_profile(profiles: &ProfileSet, name: &str) -> Option<String> {
    let mut name = name;
    for _ in 0..MAX_PROFILE_CHAIN {
        let profile = profiles.get_profile(name)?;
        let has = |key| profile.get(key).is_some_and(|value| !value.trim().is_empty());
        let is_self = || profile.get("source_profile").is_some_and(|source| source == name);
        if has("role_arn") && has("source_profile") && !is_self() {
            name = profile.get("source_profile")?;
        } else if has("sso_session") || has("sso_start_url") {
            return Some(format!("aws sso login --profile {name}"));
        } else {
            return has("login_session").then(|| format!("aws login --profile {name}"));
        }
    }
    None
}
