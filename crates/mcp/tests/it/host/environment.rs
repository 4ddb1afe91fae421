//! The environment of a child: the inherited variables, the blocked ones, and a home folder of the session.

use std::path::Path;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_mcp::McpHost;
use valetkey_mcp::child::{Delivery, GATEWAY_MARKER, HomeFolder, HostEnvironment};

use crate::host_fixture::{HostFixture, fixture_server, host_environment, mcp_config};
use crate::keys::keys;
use crate::role_fixture::{RoleProviderFixture, read_policy};

fn sorted_variable_names(answer: &Value) -> Vec<&str> {
    let mut names: Vec<_> = answer["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names
}

const BASE_VARS: [&str; 13] = [
    "AWS_CONFIG_FILE",
    "AWS_CREDENTIAL_PROFILES_FILE",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "HOME",
    "LANG",
    "PATH",
    "TMPDIR",
    "UV_CACHE_DIR",
    "VALETKEY_GATEWAY",
    "npm_config_cache",
];

fn base_vars_and<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = [&BASE_VARS, more].concat();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn child_has_exactly_the_listed_variables() {
    let endpoint = ["AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let env = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    for (delivery, more) in
        [(Delivery::Endpoint, &endpoint[..]), (Delivery::Env, &env), (Delivery::None, &[])]
    {
        let fixture = HostFixture::with_credentials("AAAA", delivery).await;
        assert_eq!(sorted_variable_names(&fixture.whoami().await), base_vars_and(more), "{delivery:?}");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn configured_variables_except_overrides_are_passed() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let mut server = fixture_server(delivery);
        for (name, value) in [
            ("MODE", "read-only"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("WHERE", "${session:region}"),
            ("AWS_PROFILE", "other-user"),
            ("AWS_ROLE_ARN", "other-user"),
            ("HOME", "/srv/other-user"),
        ] {
            server.env.insert(name.to_owned(), value.to_owned());
        }
        let fixture = HostFixture::without_credentials([("fixture", server)]).await;
        fixture.set("AAAA");
        let answer = fixture.whoami().await;
        assert_eq!(answer["key"], "AAAA");
        let names = sorted_variable_names(&answer);
        for name in ["MODE", "AWS_ENDPOINT_URL", "WHERE"] {
            assert!(names.contains(&name), "{name}");
        }
        for name in ["AWS_PROFILE", "AWS_ROLE_ARN"] {
            assert!(!names.contains(&name), "{name}");
        }
        assert_ne!(answer["home"], "/srv/other-user");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn gateway_marker_in_configuration_is_overridden() {
    for delivery in [Delivery::Endpoint, Delivery::None] {
        let mut server = fixture_server(delivery);
        server.env.insert(GATEWAY_MARKER.to_owned(), String::new());
        let fixture = HostFixture::without_credentials([("fixture", server)]).await;
        fixture.catalog().await;
        let environ = std::fs::read(format!("/proc/{}/environ", fixture.pid("fixture").unwrap())).unwrap();
        let marker = format!("{GATEWAY_MARKER}={}", fixture.session.id());
        assert!(environ.split(|&byte| byte == 0).any(|variable| variable == marker.as_bytes()));
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn user_home_server_has_session_aws_files() {
    let mut server = fixture_server(Delivery::Endpoint);
    server.home = HomeFolder::User;
    let fixture = HostFixture::without_credentials([("fixture", server)]).await;
    fixture.set("AAAA");
    let answer = fixture.whoami().await;
    assert_eq!((&answer["home"], &answer["key"]), (&json!("/srv/host"), &json!("AAAA")));
    assert_eq!(answer["config"], "[default]\nregion = eu-central-1\n");
    assert_ne!(answer["tmp"], "/tmp");
    let without = |names: &[&'static str]| {
        BASE_VARS.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>()
    };
    let expected = without(&["UV_CACHE_DIR", "npm_config_cache"]);
    let names: Vec<_> =
        sorted_variable_names(&answer).into_iter().filter(|name| !name.contains("CONTAINER")).collect();
    assert_eq!(names, expected);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn no_delivery_configured_keys_are_passed() {
    let mut server = fixture_server(Delivery::None);
    server.env.insert("AWS_ACCESS_KEY_ID".to_owned(), "AKIA000000000000OWNS".to_owned());
    server.env.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "of-the-server".to_owned());
    let fixture = HostFixture::without_credentials([("fixture", server)]).await;
    assert_eq!(fixture.key_and_pid().await.0, "OWNS");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn child_region_and_profile_are_from_the_session() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let answer = fixture.whoami().await;
    assert_eq!(answer["region"], "eu-central-1");
    assert_eq!(answer["config"], "[default]\nregion = eu-central-1\n");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn server_region_applies_without_session_region() {
    for (of_session, expected) in [(None, "eu-west-3"), (Some("eu-west-1"), "eu-west-1")] {
        let mut server = fixture_server(Delivery::Endpoint);
        server.env.insert("AWS_DEFAULT_REGION".to_owned(), "eu-west-3".to_owned());
        let builder = SessionContext::builder().environment_region("eu-north-1".parse().unwrap());
        let session = of_session
            .into_iter()
            .fold(builder, |builder, region: &str| builder.region(region.parse().unwrap()))
            .build();
        session.set_credentials(keys("AAAA")).unwrap();
        let host =
            McpHost::builder(&session, mcp_config([("fixture", server)])).environment(host_environment());
        let host = host.start().await.unwrap();
        let result = host.call("fixture__whoami", None, &CancellationToken::new()).await.unwrap();
        assert_eq!(result["structuredContent"]["region"], expected);
        host.shutdown().await;
    }
}

#[tokio::test]
async fn session_dir_is_private_and_removed_at_shutdown() {
    let (one, other) = tokio::join!(
        HostFixture::with_credentials("AAAA", Delivery::Endpoint),
        HostFixture::with_credentials("BBBB", Delivery::Env)
    );
    let (first, second) = tokio::join!(one.whoami(), other.whoami());
    for folder in ["home", "tmp"] {
        assert_ne!(first[folder], second[folder]);
        assert!(Path::new(first[folder].as_str().unwrap()).is_dir());
    }
    std::fs::write(Path::new(first["home"].as_str().unwrap()).join("left-behind"), "x").unwrap();
    one.host.shutdown().await;
    other.host.shutdown().await;
    for answer in [first, second] {
        for folder in ["home", "tmp"] {
            assert!(!Path::new(answer[folder].as_str().unwrap()).exists(), "{folder}");
        }
    }
}

#[tokio::test]
async fn home_links_configuration_without_variable() {
    let user = tempfile::tempdir().unwrap();
    std::fs::write(user.path().join(".yarnrc.yml"), "of the user").unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let host = [("HOME".into(), user.path().into()), ("PATH".into(), path)];
    let servers =
        [("fixture", fixture_server(Delivery::Endpoint)), ("plain", fixture_server(Delivery::Endpoint))];
    let fixture = HostFixture::with_builder(servers, |builder| {
        builder.environment(HostEnvironment::new(host)).tool_policy("fixture", "whoami", read_policy())
    });
    let fixture = fixture.await;
    fixture.session.set_provider(RoleProviderFixture::new('x')).unwrap();
    let (narrowed, plain) = (fixture.whoami().await, fixture.call("plain__whoami", json!({})).await);
    assert_ne!(narrowed["home"], plain["home"]);
    for home in [narrowed, plain].map(|answer| answer["home"].as_str().unwrap().to_owned()) {
        let files = std::fs::read_dir(&home).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(files.collect::<Vec<_>>(), [".yarnrc.yml"]);
        assert_eq!(std::fs::read_to_string(Path::new(&home).join(".yarnrc.yml")).unwrap(), "of the user");
    }
    fixture.host.shutdown().await;
    assert!(user.path().join(".yarnrc.yml").exists(), "only the link goes with the session");
}

#[tokio::test]
async fn session_dir_contains_no_key() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::with_credentials("AAAA", delivery).await;
        let answer = fixture.call("fixture__whoami", json!({})).await;
        let root = Path::new(answer["home"].as_str().unwrap()).parent().unwrap();
        let files: Vec<_> = std::fs::read_dir(root).unwrap().flatten().map(|entry| entry.path()).collect();
        assert_eq!(files.len(), 5, "home, tmp, config, config-env, credentials: {files:?}");
        for file in files.iter().filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(!text.contains("AAAA"), "{}", file.display());
        }
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn server_cwd_expands_session_variables() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("eu-central-1");
    std::fs::create_dir(&here).unwrap();
    let mut server = fixture_server(Delivery::None);
    server.cwd = Some(folder.path().join("${session:region}"));
    let fixture = HostFixture::without_credentials([("fixture", server)]).await;
    fixture.catalog().await;
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", fixture.pid("fixture").unwrap())).unwrap();
    assert_eq!(cwd, here.canonicalize().unwrap());
    fixture.host.shutdown().await;
}
