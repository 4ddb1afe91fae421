//! The table of endpoints: what it finds, and what it refuses.

use valetkey_signing::routes::{EndpointVariant, RouteError, Routes};

#[test]
fn find_shared_signing_name_needs_service_in_path() {
    let routes = Routes::new().unwrap();
    let find = |service| routes.find("bedrock", "us-east-1", service, EndpointVariant::Standard);
    assert!(
        matches!(find(None), Err(RouteError::AmbiguousService(names)) if names.contains("bedrock-runtime"))
    );
    assert_eq!(find(Some("bedrock-runtime")).unwrap().host(), "bedrock-runtime.us-east-1.amazonaws.com");
    assert_eq!(find(Some("sqs")).unwrap_err(), RouteError::OtherSigningName);
    assert_eq!(find(Some("none")).unwrap_err(), RouteError::UnknownService);
}

#[test]
fn find_signing_name_of_s3_alone_is_s3() {
    let routes = Routes::new().unwrap();
    let route = routes.find("s3", "eu-west-1", None, EndpointVariant::Standard).unwrap();
    assert_eq!((route.service().name(), route.host()), ("s3", "s3.eu-west-1.amazonaws.com"));
}

#[test]
fn find_text_outside_table_is_refused() {
    let routes = Routes::new().unwrap();
    for region in
        ["", "us-east-9", "*", "aws", "{region}", "us-east-1.example.com#", "US-EAST-1", "aws-global"]
    {
        let found = routes.find("sqs", region, None, EndpointVariant::Standard);
        assert_eq!(found.unwrap_err(), RouteError::UnknownRegion, "{region}");
    }
    for name in ["", "sqs.example.com/", "none", "*"] {
        let found = routes.find(name, "us-east-1", None, EndpointVariant::Standard);
        assert_eq!(found.unwrap_err(), RouteError::UnknownService, "{name}");
    }
}

#[test]
fn find_variant_selects_host_of_variant() {
    let routes = Routes::new().unwrap();
    let host =
        |variant, region| routes.find("sqs", region, None, variant).map(|route| route.host().to_owned());
    assert_eq!(host(EndpointVariant::Fips, "us-west-2").unwrap(), "sqs-fips.us-west-2.amazonaws.com");
    assert_eq!(host(EndpointVariant::DualStack, "us-west-2").unwrap(), "sqs.us-west-2.api.aws");
    assert_eq!(host(EndpointVariant::Standard, "cn-north-1").unwrap(), "sqs.cn-north-1.amazonaws.com.cn");
    let s3 = routes.find("s3", "cn-north-1", Some("s3"), EndpointVariant::Fips);
    assert_eq!(s3.unwrap_err(), RouteError::NoEndpoint);
}

#[test]
fn has_host_prefix_operation_of_prefixed_host_is_true() {
    let routes = Routes::new().unwrap();
    let states = routes.services().find(|service| service.name() == "stepfunctions").unwrap();
    assert!(states.has_host_prefix("StartSyncExecution") && !states.has_host_prefix("StartExecution"));
    assert_eq!(states.variable_suffix(), "SFN");
}

#[test]
fn unreachable_operations_are_in_settings_document() {
    let document = include_str!("../../../../docs/settings.md");
    let routes = Routes::new().unwrap();
    let mut services = 0;
    for service in routes.services() {
        let operations: Vec<_> = service.host_prefixed().collect();
        let text = match operations.as_slice() {
            [] => continue,
            ["*"] => "all".to_owned(),
            [first, second, ..] if operations.len() > 12 => {
                format!("{}, such as `{first}` and `{second}`", operations.len())
            }
            few => few.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        let row = format!("| `{}` | {text} |\n", service.name());
        assert!(document.contains(&row), "docs/settings.md has no row {row}");
        services += 1;
    }
    assert!(services > 20, "{services}");
}
