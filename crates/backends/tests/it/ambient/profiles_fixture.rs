//! The services that profiles lead to, and the files of those profiles.

use std::fs;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use valetkey_core::{Clock, Expiry, SystemClock};

use super::home_with;
use crate::KEY_ID;
use crate::http_fixture::{ROLE_SESSION, SentRequest, issued_response, refused};

/// What every service issues.
pub(super) const ISSUED: &str = "ASIAIOSFODNN7EXAMPLE";
pub(super) const CONTAINER: (&str, &str) =
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/container");
pub(super) const WITH_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "false");

/// The profiles that need a service, and how many requests one failing attempt sends. A failed refresh of a single
/// sign-on token is followed by a request with the expired one.
pub(super) const PROFILES: [(&str, usize); 7] = [
    ("role", 1),
    ("web", 1),
    ("sso", 1),
    ("sso-refresh", 2),
    ("console", 1),
    ("role-of-container", 1),
    ("role-of-instance", 1),
];

/// A home with every form of profile, and with what signing in leaves: files named after digests of the session.
pub(super) fn home_with_profiles() -> TempDir {
    let home = home_with("");
    let folder = home.path().join(".aws");
    let token_file = folder.join("token");
    let role = "role_arn = arn:aws:iam::222222222222:role/agent\n";
    let sign_on = |session: &str, profile: &str| {
        format!(
            "[sso-session {session}]\nsso_start_url = https://example.com\nsso_region = us-east-1\n\
             [profile {profile}]\nsso_session = {session}\nsso_account_id = 222222222222\nsso_role_name = agent\n"
        )
    };
    let settings = [
        format!(
            "[profile keys]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = not-a-real-secret\n\
             [profile role]\n{role}source_profile = keys\n"
        ),
        format!("[profile web]\n{role}web_identity_token_file = {}\n", token_file.display()),
        sign_on("current", "sso"),
        sign_on("stale", "sso-refresh"),
        "[profile console]\nlogin_session = arn:aws:iam::111111111111:user/alice\n".to_owned(),
        format!("[profile role-of-container]\n{role}credential_source = EcsContainer\n"),
        format!("[profile role-of-instance]\n{role}credential_source = Ec2InstanceMetadata\n"),
        "[profile counted]\ncredential_process = echo run >> \"$HOME/runs\"; exit 1\n".to_owned(),
    ];
    fs::write(folder.join("config"), settings.concat()).unwrap();
    fs::write(token_file, "identity-token").unwrap();
    let caches = [folder.join("sso/cache"), folder.join("login/cache")];
    caches.iter().for_each(|cache| fs::create_dir_all(cache).unwrap());
    let [sso, login] = caches;
    let session = |token: &str, expires_at: &str| {
        json!({"accessToken": token, "expiresAt": expires_at, "refreshToken": "r", "clientId": "c",
            "clientSecret": "s", "registrationExpiresAt": "2099-01-01T00:00:00Z",
            "region": "us-east-1", "startUrl": "https://example.com"})
        .to_string()
    };
    let current = session("current-token", "2099-01-01T00:00:00Z");
    fs::write(sso.join("405ab5d2b930fe3725b3cb1ace051f9fd3d6d7af.json"), current).unwrap();
    let stale = session("stale-token", "2020-01-01T00:00:00Z");
    fs::write(sso.join("a4e976a3d3fc6d0b40453de216fbbe2e9aaecdc4.json"), stale).unwrap();
    let file = "dd1afc160d574539510be1fcd896014ad173ccb3a5e262eaca0fa3e2431588e2.json";
    fs::write(login.join(file), console()).unwrap();
    home
}

/// A console session whose credentials expired a minute ago, so that the SDK renews them. Its proof of possession is made with a key of 32 ones.
fn console() -> String {
    let expires_at = Expiry::At(SystemClock.now() - Duration::from_secs(60)).to_string();
    let label = "EC PRIVATE KEY";
    let key = "MDECAQEEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBoAoGCCqGSM49\nAwEH";
    json!({
        "accessToken": {"accessKeyId": ISSUED, "secretAccessKey": "s", "sessionToken": "t",
            "accountId": "111111111111", "expiresAt": expires_at},
        "tokenType": "aws_sigv4", "refreshToken": "r", "idToken": "i", "clientId": "c",
        "dpopKey": format!("-----BEGIN {label}-----\n{key}\n-----END {label}-----\n"),
    })
    .to_string()
}

/// Responds as the service of the request would.
pub(super) fn answer(sent: &SentRequest) -> (u16, String) {
    let path = sent.uri.splitn(4, '/').nth(3).unwrap_or_default();
    let keys = json!({"Code": "Success", "AccessKeyId": ISSUED, "SecretAccessKey": "s", "Token": "t",
        "Expiration": "2099-01-01T00:00:00Z"});
    let body = match path.split('?').next().unwrap() {
        "container" | "latest/meta-data/iam/security-credentials/agent" => keys,
        "latest/meta-data/iam/security-credentials/" => return (200, "agent".to_owned()),
        "latest/api/token" => return (200, "instance-token".to_owned()),
        "federation/credentials" if sent.headers["x-amz-sso_bearer_token"] == "stale-token" => {
            return (401, json!({"__type": "UnauthorizedException", "message": "expired"}).to_string());
        }
        "federation/credentials" => json!({"roleCredentials": {"accessKeyId": ISSUED,
            "secretAccessKey": "s", "sessionToken": "t", "expiration": 4_070_908_800_000_i64}}),
        "token" => json!({"accessToken": "new-token", "expiresIn": 3600, "tokenType": "Bearer"}),
        "v1/token" => json!({"accessToken": {"accessKeyId": ISSUED, "secretAccessKey": "s",
            "sessionToken": "t"}, "expiresIn": 3600, "refreshToken": "r", "tokenType": "aws_sigv4"}),
        _ => return (200, issued_response(&sent.form()["Action"], ROLE_SESSION, [ISSUED, "s", "t"])),
    };
    (200, body.to_string())
}

/// How every service fails.
pub(super) fn failure() -> (u16, String) {
    (503, refused("ServiceUnavailable", ""))
}
