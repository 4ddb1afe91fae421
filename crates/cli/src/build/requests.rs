//! `[servers.NAME.requests]`: which AWS requests a server without keys may send.

use valetkey::Error;
use valetkey::mcp::signing::Rules;

use crate::settings::{Delivery, Diagnostic, Settings};

/// Builds the rules of a server. Errors are reported at the key of the list that has them.
pub(super) fn build_rules(settings: &Settings, server: &str, diagnostics: &mut Vec<Diagnostic>) -> Rules {
    let Some(server_settings) = settings.servers.get(server) else { return Rules::default() };
    let Some(requests) = &server_settings.requests else { return Rules::default() };
    let section = ["servers", server, "requests"];
    if server_settings.credentials != Some(Delivery::Proxy) {
        diagnostics
            .push(settings.diagnostic(&section, "applies only with `credentials = \"proxy\"`; set that"));
        return Rules::default();
    }
    let mut report = |list: &str, pattern: &str, error: &Error| {
        let what = format!("`{pattern}`: {error}");
        diagnostics.push(settings.diagnostic(&[&section[..], &[list]].concat(), what));
    };
    let mut rules = Rules::default()
        .read_only(requests.read_only)
        .max_requests_per_second(requests.max_requests_per_second);
    for pattern in &requests.allow {
        rules = rules
            .clone()
            .allow(pattern)
            .inspect_err(|error| report("allow", pattern, error))
            .unwrap_or(rules);
    }
    for pattern in &requests.deny {
        rules =
            rules.clone().deny(pattern).inspect_err(|error| report("deny", pattern, error)).unwrap_or(rules);
    }
    requests.regions.iter().fold(rules, Rules::region)
}
