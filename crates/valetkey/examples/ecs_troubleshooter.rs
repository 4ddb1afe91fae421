//! An agent that repairs ECS services, with four sub-agents in one session:
//! `cargo run -p valetkey --example ecs_troubleshooter --all-features`.
//!
//! Each invocation has a stack job, which names the credentials of a user; no model sees them. Two invocations run at
//! once. The sub-agents that only look get a narrowed session and no tool that changes anything. The models are scripts,
//! the clusters are in memory, and an in-process AWS issues and checks the credentials.

#![allow(clippy::print_stdout, reason = "a demonstration shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use valetkey::backends::{
    AssumeRoleProvider, AwsClientConfig, MemoryProvider, SdkConfigExt, SecretsManagerResolver,
};
use valetkey::tools::{Tool, ToolDefinition, ToolOutput, ToolSet};
use valetkey::{
    AccessScope, AccountName, Credentials, Region, SecretString, SessionContext, SessionPolicy, async_trait,
};
use valetkey_local_aws::{LocalAws, RoleSpec, SecretSpec, UserSpec};

const PLATFORM_KEY: &str = "AKIADEMOPLATFORM0001";
const PLATFORM_SECRET: &str = "demo-secret-of-the-platform";
/// User, AWS account and access key of each invocation.
const USERS: [(&str, &str, &str); 2] =
    [("alice", "111111111111", "AKIADEMOALICE000AAAA"), ("bob", "222222222222", "AKIADEMOBOB00000BBBB")];

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let aws = start_aws().await?;
    let platform = Platform {
        client_config: AwsClientConfig::new().region(&Region::us_east_1()).endpoint_url(aws.endpoint_url()),
        clusters: Clusters::with_broken_services(),
    };
    let (alice, bob) =
        tokio::try_join!(platform.run_invocation(&USERS[0]), platform.run_invocation(&USERS[1]))?;
    for line in alice.iter().chain(&bob) {
        println!("{line}");
    }
    aws.stop().await?;
    Ok(())
}

/// The program that runs the agents.
struct Platform {
    client_config: AwsClientConfig,
    clusters: Arc<Clusters>,
}

impl Platform {
    /// Runs the agent for one stack job, and returns the transcript. The scope closes the session, also after an error.
    async fn run_invocation(&self, (user, account, _): &(&str, &str, &str)) -> Result<Vec<String>, AnyError> {
        let platform =
            Credentials::builder(PLATFORM_KEY.parse()?, SecretString::from(PLATFORM_SECRET)).build()?;
        let resolver = SecretsManagerResolver::builder("credentials/", MemoryProvider::from(platform))
            .client_config(&self.client_config)
            .build()?;
        let session = SessionContext::builder().principal(user.parse()?).resolver(resolver);
        SessionContext::scope(session, async |session: SessionContext| {
            let mut agent = Agent { user, session, transcript: Vec::new(), platform: self };
            agent.prepare(account).await?;
            agent.repair().await?;
            Ok(agent.transcript)
        })
        .await
    }
}

/// The agent of one invocation.
struct Agent<'a> {
    user: &'a str,
    session: SessionContext,
    transcript: Vec<String>,
    platform: &'a Platform,
}

impl Agent<'_> {
    /// Turns the stack job into credentials, and adds the role in which the sub-agents work.
    async fn prepare(&mut self, account: &str) -> Result<(), AnyError> {
        let target = json!({"spec": {"aws_account_region": "us-east-1"}});
        let job = json!({"spec": {"provider_credential_id": self.user, "target": target}});
        let tools = ToolSet::for_session(self.session.clone());
        let job = json!({"stack_job_json": job});
        self.call("prepare", &tools, "extract_and_set_credentials_from_stack_job", job).await?;
        let source = self.session.account(self.session.default_account())?;
        let role = format!("arn:aws:iam::{account}:role/operator").parse()?;
        let role = AssumeRoleProvider::builder(role, source).client_config(&self.platform.client_config);
        let role = role.session_name(format!("troubleshooter-{}", self.user)).build()?;
        self.session.for_account(&operator()?).set_provider(role)?;
        Ok(())
    }

    /// Runs the sub-agents one after the other. They share the facts on the service through the session.
    async fn repair(&mut self) -> Result<(), AnyError> {
        let looking = SessionPolicy::read_only(["ecs", "logs", "sts"])?;
        let looking = self.session.narrow(AccessScope::new().accounts([operator()?]).policy(looking))?;
        let readers = self.tools(&looking, false)?;
        let writers = self.tools(&self.session, true)?;
        let facts = ToolSet::for_session(self.session.clone());
        let service = json!({"service_id": "orders-api", "cluster": "prod"});

        self.call("identifier", &readers, "describe_service", json!({})).await?;
        self.call("identifier", &facts, "set_service_context_info", service).await?;
        self.call("triage", &facts, "get_service_context_info", json!({})).await?;
        let found = self.call("triage", &readers, "describe_service", json!({})).await?;
        if !found.contains("CannotPullContainerError") {
            return Err("the model did not find the cause".into());
        }
        self.call("fix", &writers, "update_service", json!({"image": "orders:1.4.2"})).await?;
        let fixed = self.call("verification", &readers, "describe_service", json!({})).await?;
        if !fixed.contains("3 of 3 tasks run") {
            return Err("the service was not repaired".into());
        }
        Ok(())
    }

    /// The tools of a sub-agent: they act on the session that it was given.
    fn tools(&self, session: &SessionContext, may_write: bool) -> Result<ToolSet, AnyError> {
        let tool = |name, description| EcsTool {
            definition: ToolDefinition::new(name, description, json!({"type": "object"})),
            session: session.clone(),
            client_config: self.platform.client_config.clone(),
            clusters: Arc::clone(&self.platform.clusters),
        };
        let tools = ToolSet::default().with(tool("describe_service", "Describes the service"))?;
        Ok(match may_write {
            true => tools.with(tool("update_service", "Deploys an image"))?,
            false => tools,
        })
    }

    /// Calls a tool as the scripted model of a sub-agent would, and adds the result to the transcript.
    async fn call(
        &mut self,
        sub_agent: &str,
        tools: &ToolSet,
        name: &str,
        input: Value,
    ) -> Result<String, AnyError> {
        let output = tools.call(name, input).await.ok_or("the sub-agent has no such tool")?;
        self.transcript.push(format!("{} {sub_agent}: {name} → {}", self.user, output.text));
        if output.is_error { Err(output.text.into()) } else { Ok(output.text) }
    }
}

fn operator() -> valetkey::Result<AccountName> {
    "operator".parse()
}

/// A tool for the ECS services of the account whose credentials the session holds.
struct EcsTool {
    definition: ToolDefinition,
    session: SessionContext,
    client_config: AwsClientConfig,
    clusters: Arc<Clusters>,
}

#[async_trait]
impl Tool for EcsTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, input: Value) -> ToolOutput {
        match self.caller_account().await {
            Ok(account) => ToolOutput::ok(self.clusters.act(&account, input["image"].as_str())),
            Err(error) => ToolOutput::failed(error.to_string()),
        }
    }
}

impl EcsTool {
    /// Returns the account in which AWS sees this tool: nothing that a model says decides it.
    async fn caller_account(&self) -> Result<String, AnyError> {
        let config = self.session.account(&operator()?)?.sdk_config_from(self.client_config.config()).await?;
        let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await?;
        Ok(identity.account().unwrap_or_default().to_owned())
    }
}

/// The image of the service in each AWS account.
struct Clusters(Mutex<BTreeMap<String, String>>);

impl Clusters {
    fn with_broken_services() -> Arc<Self> {
        let services = USERS.map(|(_, account, _)| (account.to_owned(), "orders:1.4.1-typo".to_owned()));
        Arc::new(Self(Mutex::new(BTreeMap::from(services))))
    }

    /// Deploys the image if there is one, and describes the service.
    fn act(&self, account: &str, image: Option<&str>) -> String {
        let mut services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = image {
            services.insert(account.to_owned(), image.to_owned());
        }
        match services.get(account).map(String::as_str) {
            None => format!("{account}: no services"),
            Some(image) if image.ends_with("typo") => {
                format!("{account}: {image}, 0 of 3 tasks run, CannotPullContainerError")
            }
            Some(image) => format!("{account}: {image}, 3 of 3 tasks run"),
        }
    }
}

/// Each user has keys in the own account, stored as a secret of the platform, and a role to work in.
async fn start_aws() -> std::io::Result<LocalAws> {
    let platform = UserSpec::new("999999999999", "platform", PLATFORM_KEY, PLATFORM_SECRET);
    let mut spec = LocalAws::builder().user(platform);
    for (user, account, key) in USERS {
        let secret = format!("demo-secret-of-{user}");
        let document = json!({"access_key_id": key, "secret_access_key": secret}).to_string();
        spec = spec
            .user(UserSpec::new(account, user, key, &secret))
            .role(RoleSpec::new(&format!("arn:aws:iam::{account}:role/operator")).trusts(account))
            .secret(SecretSpec::new("999999999999", &format!("credentials/{user}"), &document));
    }
    spec.start().await
}
