//! The resolver that calls a tool of a configured server: `[resolver] provider = "mcp"`.
//!
//! It runs the server in a host of its own. A server without an `account` in the settings gets no credentials there: it
//! must provide the first ones.

use valetkey::mcp::child::{Delivery, HostEnvironment, Launcher};
use valetkey::mcp::{McpConfig, McpHost, McpToolResolver};
use valetkey::{Error, SessionBuilder, SessionContext};

use super::{BuildMode, SessionInputs};
use crate::settings::{Diagnostic, ResolverSettings, Settings, ToolResolverSettings};

/// Adds the resolver to a session, if the settings describe one of this kind. `config` has every server.
pub(crate) fn with_tool_resolver(
    builder: SessionBuilder,
    inputs: &SessionInputs<'_>,
    config: &McpConfig,
    launcher: &Launcher,
) -> SessionBuilder {
    let Some(ResolverSettings::Mcp(settings)) = &inputs.settings.resolver else { return builder };
    let mut server = McpConfig::default();
    if let Some(own) = config.servers.get(&settings.server) {
        let mut own = own.clone();
        if own.account.is_none() {
            own.delivery = Delivery::None;
        }
        server.servers.insert(settings.server.clone(), own);
    }
    let session = session_of_server(inputs);
    let launcher = launcher.clone();
    let describe = move || {
        McpHost::builder(&session, server.clone())
            .environment(HostEnvironment::from_process())
            .launcher(launcher.clone())
    };
    // Invalid settings were reported where the tool was hidden.
    match with_settings(McpToolResolver::new(&settings.server, &settings.tool, describe), settings) {
        Ok(resolver) => builder.resolver(resolver),
        Err(_reported) => builder,
    }
}

/// Returns a session with the accounts of the settings and without a resolver.
fn session_of_server(inputs: &SessionInputs<'_>) -> SessionContext {
    let mut settings = inputs.settings.clone();
    settings.resolver = None;
    let inputs = SessionInputs { settings: &settings, ..*inputs };
    // The errors are reported where the session of the caller is built.
    let session = inputs.session_builder(BuildMode::CheckOnly, None, &mut Vec::new()).build();
    inputs.set_providers(&session, &mut Vec::new());
    session
}

fn with_settings(
    resolver: McpToolResolver,
    settings: &ToolResolverSettings,
) -> Result<McpToolResolver, Error> {
    let resolver = settings.argument.iter().fold(resolver, |resolver, name| resolver.argument(name));
    let resolver =
        settings.credentials_pointer.iter().try_fold(resolver, |r, at| r.credentials_pointer(at))?;
    let resolver = settings.id_pointer.iter().try_fold(resolver, |r, at| r.id_pointer(at))?;
    settings.region_pointer.iter().try_fold(resolver, |r, at| r.region_pointer(at))
}

/// Hides the tool of the resolver from the model, and reports a server that is not configured and invalid pointers.
pub(super) fn hide_resolver_tool(
    settings: &Settings,
    config: Option<&mut McpConfig>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(ResolverSettings::Mcp(resolver)) = &settings.resolver else { return };
    let session = SessionContext::builder().build();
    let describe = move || McpHost::builder(&session, McpConfig::default());
    let built = with_settings(McpToolResolver::new(&resolver.server, &resolver.tool, describe), resolver);
    let built = built.map_err(|error| diagnostics.push(settings.to_diagnostic(&["resolver"], &error)));
    let Some(config) = config else { return };
    if let Ok(resolver) = built {
        resolver.hide_tool(config);
    }
    let is_reported =
        config.errors.iter().chain(&config.warnings).any(|error| error.server == resolver.server);
    if !config.servers.contains_key(&resolver.server) && !is_reported {
        let what = "is not a server of the `mcpServers` file; add it there";
        diagnostics.push(settings.diagnostic(&["resolver", "server"], what));
    }
}
