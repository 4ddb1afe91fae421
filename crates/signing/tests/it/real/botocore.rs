//! The table of endpoints covers what botocore resolves.

use std::collections::HashMap;
use std::path::Path;

use valetkey_rig::{Script, Venv};
use valetkey_signing::routes::{EndpointVariant, Routes};

/// Host and signing region of each region, by service and variant, as in `dynamodb fips`.
type ResolvedHosts = HashMap<String, HashMap<String, Option<(String, String)>>>;

async fn resolved_hosts() -> ResolvedHosts {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rig/python/endpoints.py");
    let printed = Script::python_in(Venv::Botocore, script).arg("--hosts").run().await.unwrap();
    serde_json::from_str(&printed).unwrap()
}

fn variant(name: &str) -> EndpointVariant {
    match name {
        "standard" => EndpointVariant::Standard,
        "fips" => EndpointVariant::Fips,
        "dual" => EndpointVariant::DualStack,
        "both" => EndpointVariant::FipsDualStack,
        other => panic!("no variant {other}"),
    }
}

#[tokio::test]
async fn find_every_service_and_region_is_host_of_botocore() {
    let routes = Routes::new().unwrap();
    let resolved = resolved_hosts().await;
    assert_eq!(resolved.len(), 4 * routes.services().count());
    for (key, regions) in &resolved {
        let (name, variant_name) = key.split_once(' ').unwrap();
        let service = routes.services().find(|service| service.name() == name).expect(name);
        for (region, expected) in regions {
            let found = routes.find(service.signing_name(), region, Some(name), variant(variant_name)).ok();
            let found = found.map(|route| (route.host().to_owned(), route.signing_region().to_owned()));
            assert_eq!(&found, expected, "{key} {region}");
        }
    }
}
