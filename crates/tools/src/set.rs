//! `ToolSet`: the tools bound to one session, in order, each name once.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use valetkey_core::{Error, ErrorKind, Region, Result, SessionContext};

use crate::credentials::{
    ClearCredentials, GetCredentials, ListAccounts, RefreshCredentials, SetCredentials,
};
use crate::service::{GetServiceContext, SetServiceContext};
use crate::stack_job::AdoptStackJob;
use crate::{SecretExposure, Tool, ToolDefinition, ToolOutput};

/// The tools bound to one session, in order. A clone shares them.
///
/// The set holds a handle of its session: the session stays open at least as long as the set.
#[derive(Clone, Default)]
pub struct ToolSet {
    tools: Vec<Arc<dyn Tool>>,
}

impl ToolSet {
    /// The credential tools of `session`; they never show a secret.
    #[must_use]
    pub fn for_session(session: SessionContext) -> Self {
        Self::builder(session).build()
    }

    /// Describes the credential tools of `session`, to change what a host may change.
    pub fn builder(session: SessionContext) -> ToolSetBuilder {
        ToolSetBuilder { session, exposure: SecretExposure::default(), default_region: None }
    }

    /// Adds a tool at the end.
    ///
    /// # Errors
    /// `Invalid` when a tool of that name is there already.
    pub fn with(mut self, tool: impl Tool + 'static) -> Result<Self> {
        let name = &tool.definition().name;
        if self.get(name).is_some() {
            return Err(Error::new(ErrorKind::Invalid, format!("two tools are named `{name}`"))
                .with_field("name")
                .with_next_step("give one of them another name"));
        }
        self.tools.push(Arc::new(tool));
        Ok(self)
    }

    /// What a model is told about each tool, in order.
    pub fn definitions(&self) -> impl ExactSizeIterator<Item = &ToolDefinition> {
        self.tools.iter().map(|tool| tool.definition())
    }

    /// The tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| tool.definition().name == name)
    }

    /// Calls the tool of that name; `None` when there is no such tool.
    pub async fn call(&self, name: &str, input: Value) -> Option<ToolOutput> {
        let tool = self.get(name)?;
        let output = tool.call(input).await;
        tracing::debug!(tool = name, is_error = output.is_error, "tool called");
        Some(output)
    }
}

impl<'a> IntoIterator for &'a ToolSet {
    type Item = &'a Arc<dyn Tool>;
    type IntoIter = std::slice::Iter<'a, Arc<dyn Tool>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tools.iter()
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&Cow<'static, str>> = self.definitions().map(|definition| &definition.name).collect();
        f.debug_tuple("ToolSet").field(&names).finish()
    }
}

/// Describes a [`ToolSet`]; made by [`ToolSet::builder`].
#[must_use]
#[derive(Debug)]
pub struct ToolSetBuilder {
    session: SessionContext,
    exposure: SecretExposure,
    default_region: Option<Region>,
}

impl ToolSetBuilder {
    /// Whether `get_aws_credentials_context` shows secrets. A host's choice, never a model's.
    pub fn secret_exposure(mut self, exposure: SecretExposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// The region of credentials that are set without one; `us-east-1` unless said.
    pub fn default_region(mut self, region: Region) -> Self {
        self.default_region = Some(region);
        self
    }

    /// The set.
    #[must_use]
    pub fn build(self) -> ToolSet {
        let Self { session, exposure, default_region } = self;
        let region = default_region.unwrap_or_else(Region::us_east_1);
        let tools: Vec<Arc<dyn Tool>> = vec![
            Arc::new(SetCredentials::new(session.clone(), region.clone())),
            Arc::new(GetCredentials::new(session.clone(), exposure)),
            Arc::new(AdoptStackJob::new(session.clone(), region)),
            Arc::new(SetServiceContext::new(session.clone())),
            Arc::new(GetServiceContext::new(session.clone())),
            Arc::new(ClearCredentials::new(session.clone())),
            Arc::new(ListAccounts::new(session.clone())),
            Arc::new(RefreshCredentials::new(session)),
        ];
        ToolSet { tools }
    }
}
