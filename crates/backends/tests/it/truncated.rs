//! An answer of STS that ends early is never half a set. The SDK reads XML that breaks off as if it ended there; what
//! saves us is that STS tells the expiry last, and that a set without one counts as expired.

use valetkey_backends::AssumeRoleProvider;
use valetkey_core::CredentialProvider;

use crate::source;
use crate::wire::{Wire, assumed};

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_whole_or_an_error() {
    let body = assumed("ASIAIOSFODNN7EXAMPLE", "role-secret", "role-token");
    for end in body.find("<Credentials>").unwrap()..=body.len() {
        let wire = Wire::saying(200, &body[..end]);
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        let provider = AssumeRoleProvider::builder(role, source()).base(&wire.base()).build().unwrap();
        let Ok(set) = provider.provide().await else {
            assert!(end < body.len(), "the whole of it is an answer");
            continue;
        };
        let told = &body[..end];
        assert_eq!(set.access_key_id().as_str(), "ASIAIOSFODNN7EXAMPLE", "{told}");
        assert_eq!(set.expose_secret_access_key(), "role-secret", "{told}");
        assert_eq!(set.expose_session_token(), Some("role-token"), "{told}");
        assert_eq!(set.expiry().to_string(), "2099-01-01T00:00:00Z", "{told}");
    }
}
