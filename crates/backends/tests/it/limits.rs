//! `AssumeRoleBuilder`: both sides of each limit, without a call.

use std::time::Duration;

use proptest::prelude::*;
use valetkey_backends::{AssumeRoleBuilder, AssumeRoleProvider};
use valetkey_core::{Error, ErrorKind};

use crate::http_fixture::HttpFixture;
use crate::{region, static_source};

fn builder() -> AssumeRoleBuilder {
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(role, static_source())
        .region(region("us-east-1"))
        .client_config(&HttpFixture::responding(500, "").client_config())
}

fn assert_valid(builder: AssumeRoleBuilder) {
    if let Err(error) = builder.build() {
        panic!("refused: {error}");
    }
}

fn assert_invalid(builder: AssumeRoleBuilder, field: &str, limit: &str) {
    let error = builder.build().unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
    assert_eq!(error.provider(), Some("assume-role"));
    assert!(error.message().contains(limit), "`{error}` does not name the limit {limit}");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn assume_role_duration_limits_15_minutes_to_12_hours() {
    for good in [900, 901, 3_600, 43_200] {
        assert_valid(builder().session_duration(seconds(good)));
    }
    for bad in [0, 1, 899, 43_201, u64::MAX] {
        assert_invalid(builder().session_duration(seconds(bad)), "duration", "900 to 43,200");
    }
    assert_invalid(builder().session_duration(Duration::from_millis(900_500)), "duration", "whole seconds");
}

#[test]
fn assume_role_chained_duration_limit_one_hour() {
    for good in [900, 3_600] {
        assert_valid(builder().session_duration(seconds(good)).role_chaining());
    }
    for bad in [3_601, 43_200] {
        assert_invalid(builder().session_duration(seconds(bad)).role_chaining(), "duration", "3,600");
        assert_valid(builder().session_duration(seconds(bad)));
    }
}

#[test]
fn assume_role_session_name_and_source_identity_limits() {
    for good in ["ab", "A_z+=,.@-9", &"n".repeat(64)] {
        assert_valid(builder().session_name(good));
        assert_valid(builder().source_identity(good));
    }
    for bad in ["", "a", "a b", "a/b", "ä-ö", "a\nb", "a:b"] {
        assert_invalid(builder().session_name(bad), "session_name", "2 to 64");
        assert_invalid(builder().source_identity(bad), "source_identity", "2 to 256");
    }
    assert_invalid(builder().session_name("n".repeat(65)), "session_name", "2 to 64");
    assert_valid(builder().source_identity("n".repeat(256)));
    assert_invalid(builder().source_identity("n".repeat(257)), "source_identity", "2 to 256");
    for bad in ["aws:alice", "AWS:alice"] {
        assert_invalid(builder().source_identity(bad), "source_identity", "`aws:`");
    }
    assert_valid(builder().source_identity("aws-alice"));
}

#[test]
fn assume_role_external_id_limits_2_to_1224() {
    for good in ["ab", "A_z+=,.@:/-9", &"e".repeat(1_224)] {
        assert_valid(builder().external_id(good));
    }
    for bad in ["", "a", "a b", "a#b", &"e".repeat(1_225)] {
        assert_invalid(builder().external_id(bad), "external_id", "2 to 1,224");
    }
}

#[test]
fn assume_role_mfa_serial_limits_9_to_256() {
    let serial = |serial: &str| {
        builder()
            .mfa(serial, || async { Err(Error::new(ErrorKind::Internal, "this provider is not called")) })
    };
    for good in ["123456789", "arn:aws:iam::111111111111:mfa/alice_+=,.@-", &"s".repeat(256)] {
        assert_valid(serial(good));
    }
    for bad in ["", "12345678", "arn aws iam", "arn:aws:iam::1:mfa#", &"s".repeat(257)] {
        assert_invalid(serial(bad), "mfa_serial", "9 to 256");
    }
}

#[test]
fn assume_role_policy_must_be_json_object_in_latin_1() {
    assert_valid(builder().policy(r#"{"Version": "2012-10-17", "Statement": []}"#));
    assert_valid(builder().policy("{\"Sid\": \"\u{ff}\"}"));
    for bad in ["", "{", "[]", "\"text\"", "hunter2"] {
        assert_invalid(builder().policy(bad), "policy", "JSON object");
    }
    assert_invalid(builder().policy("{\"Sid\": \"\u{100}\"}"), "policy", "U+0020 to U+00FF");
}

#[test]
fn assume_role_policy_and_arns_limit_2048() {
    let arn = "arn:aws:iam::111111111111:policy/read";
    let policy = |length: usize| format!("{{\"Sid\":\"{}\"}}", "\u{e4}".repeat(length - 10));
    assert_eq!(policy(2_048).chars().count(), 2_048);
    assert_valid(builder().policy(policy(2_048)));
    assert_invalid(builder().policy(policy(2_049)), "policy", "2,048");
    assert_valid(builder().policy(policy(2_048 - arn.len())).policy_arn(arn));
    assert_invalid(builder().policy(policy(2_049 - arn.len())).policy_arn(arn), "policy", "2,048");
}

#[test]
fn assume_role_policy_arns_limit_ten_and_format() {
    let many = |count: usize| {
        (0..count)
            .fold(builder(), |builder, n| builder.policy_arn(format!("arn:aws:iam::aws:policy/read-{n}")))
    };
    assert_valid(many(10));
    assert_invalid(many(11), "policy_arns", "10");
    for bad in ["", "ReadOnlyAccess", "arn:aws:iam::111111111111:role/agent", "arn:aws:iam::aws:policy/a b"] {
        assert_invalid(builder().policy_arn(bad), "policy_arns", "managed policy ARNs");
    }
}

#[test]
fn assume_role_tags_limit_50() {
    let many =
        |count: usize| (0..count).fold(builder(), |builder, n| builder.tag(format!("key-{n}"), "value"));
    assert_valid(many(50));
    assert_invalid(many(51), "tags", "50");
}

#[test]
fn assume_role_tag_key_and_value_length_limits() {
    for key in ["k", "ä ö_.:/=+-@", &"ä".repeat(128)] {
        assert_valid(builder().tag(key, "v").transitive_tag(key));
    }
    for key in ["", "a\tb", "a#b", &"ä".repeat(129)] {
        assert_invalid(builder().tag(key, "v"), "tags", "1 to 128");
    }
    for value in ["", &"ä".repeat(256)] {
        assert_valid(builder().tag("k", value));
    }
    for value in ["a#b", &"ä".repeat(257)] {
        assert_invalid(builder().tag("k", value), "tags", "256");
    }
}

#[test]
fn assume_role_aws_prefix_and_duplicate_tags_invalid() {
    assert_invalid(builder().tag("aws:tier", "v"), "tags", "`aws:`");
    assert_invalid(builder().tag("AWS:tier", "v"), "tags", "`aws:`");
    assert_invalid(builder().tag("tier", "aws:v"), "tags", "`aws:`");
    assert_invalid(builder().tag("tier", "a").tag("Tier", "b"), "tags", "twice");
    assert_valid(builder().tag("awsome", "v"));
}

#[test]
fn assume_role_transitive_tag_must_be_a_tag() {
    assert_valid(builder().tag("tier", "low").transitive_tag("tier"));
    assert_invalid(builder().tag("tier", "low").transitive_tag("team"), "transitive_tags", "one of the tags");
    assert_invalid(builder().transitive_tag(""), "transitive_tags", "1 to 128");
}

#[test]
fn assume_role_without_region_is_invalid() {
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    assert_invalid(AssumeRoleProvider::builder(role, static_source()), "region", "not known");
}

proptest! {
    #[test]
    fn assume_role_random_text_follows_limits_unechoed(text in "[a-zA-Z0-9_+=,.@:/ #-]{0,80}") {
        let plain = |marks: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
        let is_name = (2..=64).contains(&text.len()) && plain("_+=,.@-");
        prop_assert_eq!(builder().session_name(&*text).build().is_ok(), is_name);
        let is_id = (2..=1_224).contains(&text.len()) && plain("_+=,.@:/-");
        prop_assert_eq!(builder().external_id(&*text).build().is_ok(), is_id);
        if let Err(error) = builder().external_id(format!("xyzzy#{text}")).build() {
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains("xyzzy"), "{}", text);
        }
    }

    /// API reference of STS, `AssumeRole`; IAM and STS quotas.
    #[test]
    fn assume_role_random_identity_and_duration_follow_limits(
        identity in "(aws:|AWS:)?([a-zA-Z0-9_+=,.@:/ -]{0,70}|[a-z]{240,270})", length in 900_u64..50_000, short in 0_u64..1_000,
    ) {
        let plain = identity.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
        let fits = (2..=256).contains(&identity.len()) && plain;
        prop_assert_eq!(builder().source_identity(&*identity).build().is_ok(), fits);
        for length in [short, length] {
            let duration = || builder().session_duration(seconds(length));
            prop_assert_eq!(duration().build().is_ok(), (900..=43_200).contains(&length));
            prop_assert_eq!(duration().role_chaining().build().is_ok(), (900..=3_600).contains(&length));
        }
    }

    #[test]
    fn assume_role_random_tags_follow_limits_unechoed(
        key in "(aws:)?[a-zA-Z0-9é _.:/=+@#,-]{0,12}", value in "(aws:)?[a-zA-Z0-9é _.:/=+@#,-]{0,12}",
        key_length in 100_usize..160, value_length in 200_usize..300, count in 40_usize..60,
    ) {
        let in_tag = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
        let is_key = |key: &str| (1..=128).contains(&key.chars().count()) && in_tag(key) && !key.starts_with("aws:");
        let is_value = |value: &str| value.chars().count() <= 256 && in_tag(value) && !value.starts_with("aws:");
        for (key, value) in [(&*key, &*value), (&"é".repeat(key_length), &"é".repeat(value_length))] {
            let taken = builder().tag(key, value).build().is_ok();
            prop_assert_eq!(taken, is_key(key) && is_value(value), "{}={}", key, value);
        }
        let error = builder().tag("xyzzy#", "xyzzy#").build().unwrap_err();
        let text = format!("{error} {error:?}");
        prop_assert!(!text.contains("xyzzy"), "{}", text);
        let many = (0..count).fold(builder(), |builder, n| builder.tag(format!("key-{n}"), "v"));
        prop_assert_eq!(many.build().is_ok(), count <= 50);
        let passed_on = (0..count).fold(builder().tag("key-0", "v"), |builder, _| builder.transitive_tag("key-0"));
        prop_assert_eq!(passed_on.build().is_ok(), count <= 50);
    }

    #[test]
    fn assume_role_random_policies_follow_size_limit(inline in 0_usize..2_100, arns in 0_usize..12, name in 1_usize..300) {
        let policy = (inline >= 10).then(|| format!("{{\"Sid\":\"{}\"}}", "s".repeat(inline - 10)));
        let total = policy.as_ref().map_or(0, String::len) + arns * ("arn:aws:iam::aws:policy/".len() + name);
        let builder = policy.into_iter().fold(builder(), AssumeRoleBuilder::policy);
        let arn = format!("arn:aws:iam::aws:policy/{}", "p".repeat(name));
        let builder = (0..arns).fold(builder, |builder, _| builder.policy_arn(&arn));
        prop_assert_eq!(builder.build().is_ok(), total <= 2_048 && arns <= 10);
    }
}
