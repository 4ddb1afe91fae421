//! Real servers for AWS that hold placeholders only, before an emulator that verifies signatures and enforces policies.

use serde_json::{Value, json};
use valetkey_core::Credentials;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_rig::{Egress, MiniStack, REGION, Result, Script, Tenant, Venv, aws_api_environment, program};

use super::{assume_role, python_script};
use crate::host_fixture::{HostFixture, host_environment_with};

const SERVICES: [&str; 6] = ["cloudtrail", "dynamodb", "ecs", "lambda", "sns", "sqs"];

fn keyless_server(venv: Venv, name: &str, args: &[&str], egress: &Egress) -> ServerConfig {
    let command = if venv == Venv::Main { program(name) } else { venv.program(name) };
    let mut server = ServerConfig::new(command.unwrap().to_str().unwrap());
    server.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    server.delivery = Delivery::Proxy;
    server.env.extend(aws_api_environment(egress));
    server.env.insert("ALLOW_WRITE".to_owned(), "true".to_owned());
    server
}

fn keyless_servers(egress: &Egress) -> [(&'static str, ServerConfig); 7] {
    let server = |name: &str, args: &[&str]| keyless_server(Venv::Workflow, name, args, egress);
    [
        ("api", keyless_server(Venv::Main, "awslabs.aws-api-mcp-server", &[], egress)),
        ("iam", server("awslabs.iam-mcp-server", &["--allow-write"])),
        ("ecs", server("ecs-mcp-server", &[])),
        ("events", server("awslabs.cloudtrail-mcp-server", &[])),
        ("tables", server("awslabs.dynamodb-mcp-server", &[])),
        // The last two name the profile `default` to their SDK.
        ("topics", server("awslabs.amazon-sns-sqs-mcp-server", &["--allow-resource-creation"])),
        ("functions", server("awslabs.lambda-tool-mcp-server", &[])),
    ]
}

/// Returns a call of each server but the last, whose result names the account of the caller.
fn calls() -> [(&'static str, Value); 6] {
    let cluster = json!({"api_operation": "CreateCluster", "api_params": {"clusterName": "agent"}});
    let table = json!({
        "table_name": "agent",
        "attribute_definitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "key_schema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "billing_mode": "PAY_PER_REQUEST",
        "region_name": REGION,
    });
    [
        ("api__call_aws", json!({"cli_command": "aws sts get-caller-identity"})),
        ("iam__create_group", json!({"group_name": "agent", "confirmed": true})),
        ("ecs__ecs_resource_management", cluster),
        ("tables__create_table", table),
        ("topics__create_topic", json!({"name": "agent"})),
        // Last: it lists the requests of the others.
        ("events__lookup_events", json!({})),
    ]
}

async fn assert_acts_as_tenant(url: &str, egress: &Egress, credentials: Credentials, tenant: &Tenant) {
    let environment = host_environment_with(&[("AWS_ENDPOINT_URL", url)]);
    let fixture =
        HostFixture::with_builder(keyless_servers(egress), |host| host.environment(environment)).await;
    fixture.session.set_credentials(credentials).unwrap();
    let account = &tenant.account;
    for (tool, arguments) in calls() {
        let result = fixture.call_raw(tool, arguments).await.to_string();
        assert!(result.contains(account), "{tool} in {account}: {result}");
    }
    let function = format!("functions__function_of_{account}");
    let catalog = fixture.catalog().await;
    assert!(catalog.errors.is_empty(), "{:?}", catalog.errors);
    let functions: Vec<_> = catalog
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .filter(|name| name.starts_with("functions__"))
        .collect();
    assert_eq!(functions, [function], "the server lists the functions of its account at its start");
    fixture.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_keyless_servers_act_in_each_account() -> Result<()> {
    let (ministack, egress) = tokio::try_join!(MiniStack::start_with_services(&SERVICES), Egress::start())?;
    let (seed, url) = (ministack.seed().await?, ministack.url());
    let prepare = Script::new(python_script("prepare_servers.py")).arg(&url);
    seed.tenants.iter().fold(prepare, |script, tenant| script.arg(&tenant.account)).run().await?;
    for tenant in &seed.tenants {
        let role = [tenant.role_arn.as_str(), "keyless", &tenant.external_id];
        let credentials = assume_role(&url, &seed.broker, &role).await?;
        assert_acts_as_tenant(&url, &egress, credentials, tenant).await;
    }
    egress.stop().await?;
    ministack.stop().await
}
