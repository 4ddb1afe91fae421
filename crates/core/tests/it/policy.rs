//! Session policies: what is refused, how they are written, and what two of them have in common.

mod evaluator;
mod random;
mod read_only;

use valetkey_core::{ErrorKind, SessionPolicy};

fn parse_policy(text: &str) -> SessionPolicy {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A policy of one statement.
fn single_statement(rest: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{{rest}}}]}}"#)
}

/// A policy that allows these actions on everything.
fn policy_allowing(actions: &str) -> SessionPolicy {
    parse_policy(&single_statement(&format!(r#""Effect":"Allow","Action":{actions},"Resource":"*""#)))
}

#[test]
fn session_policy_display_is_minimal() {
    let read = parse_policy(
        r#"{
            "Id": "mine", "Version": "2012-10-17",
            "Statement": {
                "Sid": "Reading", "Effect": "Allow", "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b/x"],
                "Action": ["s3:ListBucket", "s3:Get*", "s3:getobject"],
                "Condition": {"Bool": {"aws:SecureTransport": true}, "NumericLessThan": {"s3:max-keys": [10, -1, 1.5]}}
            }
        }"#,
    );
    let written = concat!(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:ListBucket"],"#,
        r#""Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"aws:SecureTransport":"true"},"#,
        r#""NumericLessThan":{"s3:max-keys":["-1","1.5","10"]}}}]}"#
    );
    assert_eq!(read.to_string(), written);
    assert_eq!(parse_policy(written), read);
}

#[test]
fn policy_digest_is_independent_of_spelling() {
    let (short, long) = (policy_allowing(r#""s3:Get*""#), policy_allowing(r#"["s3:GetObject", "s3:Get*"]"#));
    assert_eq!(short.digest(), long.digest());
    assert_ne!(short.digest(), policy_allowing(r#""s3:*""#).digest());
    let known = "b5f98c16195c81aaa1ae369ebd43c82c60a97462d735b5165bfa047f080c27ea";
    assert_eq!(short.digest().to_string(), known);
}

#[test]
fn session_policy_error_names_field_without_echo() {
    let one = single_statement;
    let allow = r#""Effect":"Allow","Action":"s3:*","Resource":"*""#;
    let cases = [
        ("hunter2".to_owned(), "policy", "JSON at line 1 column 1"),
        ("[]".to_owned(), "policy", "JSON object"),
        (r#"{"Statement":[]}"#.to_owned(), "Version", "2012-10-17"),
        (r#"{"Version":"2008-10-17","Statement":[]}"#.to_owned(), "Version", "2012-10-17"),
        (r#"{"Version":"2012-10-17"}"#.to_owned(), "Statement", "list of statements"),
        (r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(), "policy", "must allow something"),
        (r#"{"Version":"2012-10-17","Statement":[7]}"#.to_owned(), "Statement[0]", "JSON object"),
        (r#"{"Version":"2012-10-17","Statement":[],"hunter2":1}"#.to_owned(), "policy", "nothing else"),
        (one(r#""Effect":"Deny","Action":"*","Resource":"*""#), "policy", "must allow something"),
        (
            one(r#""Effect":"hunter2","Action":"*","Resource":"*""#),
            "Statement[0].Effect",
            "`Allow` or `Deny`",
        ),
        (one(r#""Effect":"Allow","Resource":"*""#), "Statement[0]", "`Action` or `NotAction`"),
        (one(r#""Effect":"Allow","Action":"*""#), "Statement[0]", "`Resource` or `NotResource`"),
        (one(&format!(r#"{allow},"NotAction":"s3:Get*""#)), "Statement[0]", "not both"),
        (one(&format!(r#"{allow},"Principal":"*""#)), "Statement[0]", "principal"),
        (one(&format!(r#"{allow},"NotPrincipal":"*""#)), "Statement[0]", "principal"),
        (one(&format!(r#"{allow},"hunter2":"*""#)), "Statement[0]", "no statement has"),
        (one(&format!(r#"{allow},"Action":"s3:*""#)), "policy", "twice"),
        (one(r#""Effect":"Allow","Action":[],"Resource":"*""#), "Statement[0].Action", "list of texts"),
        (one(r#""Effect":"Allow","Action":[7],"Resource":"*""#), "Statement[0].Action", "list of texts"),
        (
            one(r#""Effect":"Allow","Action":"hunter2","Resource":"*""#),
            "Statement[0].Action",
            "actions such as",
        ),
        (one(r#""Effect":"Allow","Action":"s3:","Resource":"*""#), "Statement[0].Action", "actions such as"),
        (
            one(r#""Effect":"Allow","Action":"*","Resource":"hunter2""#),
            "Statement[0].Resource",
            "ARNs such as",
        ),
        (one(&format!(r#"{allow},"Condition":[]"#)), "Statement[0].Condition", "JSON object"),
        (one(&format!(r#"{allow},"Condition":{{"Null":7}}"#)), "Statement[0].Condition", "operators"),
        (
            one(&format!(r#"{allow},"Condition":{{"Null":{{"a":null}}}}"#)),
            "Statement[0].Condition",
            "booleans",
        ),
        (one(&format!(r#"{allow},"Condition":{{"Null":{{"a":[]}}}}"#)), "Statement[0].Condition", "booleans"),
        (
            one(&format!(r#"{allow},"Condition":{{"Bool":{{"a":"true"}},"bool":{{"A":"false"}}}}"#)),
            "Statement[0].Condition",
            "twice",
        ),
        (one(&format!(r#"{allow},"Condition":{{"Bool":{{"Ā":"true"}}}}"#)), "policy", "U+00FF"),
    ];
    for (text, field, rule) in cases {
        let error = text.parse::<SessionPolicy>().unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{text}: {error}");
        assert!(error.message().contains(rule), "{text}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn session_policy_is_limited_to_2048_characters() {
    let bucket = |n: usize| format!("arn:aws:s3:::{}", "b".repeat(n));
    let text = |n: usize| {
        single_statement(&format!(
            "\n  \"Sid\": \"Long\",  \"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"{}\"",
            bucket(n)
        ))
    };
    let spent = parse_policy(&text(0)).to_string().len();
    assert_eq!(parse_policy(&text(2048 - spent)).to_string().len(), 2048);
    let error = text(2049 - spent).parse::<SessionPolicy>().unwrap_err();
    assert!(error.message().contains("2,048"), "{error}");
    let umlauts = text(2048 - spent).replace("bb", "\u{e4}\u{e4}");
    assert_eq!(parse_policy(&umlauts).to_string().chars().count(), 2048, "characters are counted, not bytes");
}

#[test]
fn intersect_keeps_narrower_pattern_of_each_pair() {
    for (a, b, both) in [
        (r#""s3:*""#, r#""s3:Get*""#, r#""s3:Get*""#),
        (
            r#"["s3:Get*","ec2:*"]"#,
            r#"["s3:GetObject","ec2:Describe*","iam:*"]"#,
            r#"["ec2:Describe*","s3:GetObject"]"#,
        ),
        (r#"["s3:Get*","s3:List*"]"#, r#"["s3:*Object","s3:ListBucket"]"#, r#""s3:ListBucket""#),
        (r#""*""#, r#"["s3:Get*","s3:PutObject"]"#, r#"["s3:Get*","s3:PutObject"]"#),
    ] {
        assert_eq!(
            policy_allowing(a).intersect(&policy_allowing(b)).unwrap(),
            policy_allowing(both),
            "{a} and {b}"
        );
        assert_eq!(
            policy_allowing(b).intersect(&policy_allowing(a)).unwrap(),
            policy_allowing(both),
            "{b} and {a}"
        );
    }
}

#[test]
fn intersect_disjoint_policies_is_invalid() {
    for (a, b) in [(r#""s3:*""#, r#""ec2:*""#), (r#""s3:Get*""#, r#""s3:*Object""#)] {
        let error = policy_allowing(a).intersect(&policy_allowing(b)).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("policy")));
        assert!(error.message().contains("allows nothing") && error.next_step().is_some(), "{error}");
    }
}

#[test]
fn intersect_keeps_denials_of_both() {
    let plain = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let denying = |rest: &str| {
        parse_policy(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{plain},{{"Effect":"Deny",{rest}}}]}}"#
        ))
    };
    let (mine, theirs) = (
        denying(r#""NotAction":"s3:Get*","Resource":"*""#),
        denying(r#""Action":"s3:GetObjectAcl","NotResource":"arn:aws:s3:::b/*""#),
    );
    let both = mine.intersect(&theirs).unwrap().to_string();
    assert!(both.contains(r#"{"Effect":"Deny","NotAction":"s3:Get*","Resource":"*"}"#), "{both}");
    assert!(both.contains(r#""NotResource":"arn:aws:s3:::b/*""#), "{both}");
}

#[test]
fn intersect_drops_only_covered_statements() {
    let when = r#","Condition":{"StringEquals":{"k":"x"}}"#;
    for effect in ["Deny", "Allow"] {
        let statement = |action: &str, resource: &str, when: &str| {
            format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"{when}}}"#)
        };
        let broad = statement("s3:Get*", "*", "");
        for (other, superfluous) in [
            (statement("s3:GetObject", "*", ""), true),
            (statement("s3:Get*", "arn:aws:s3:::b", ""), true),
            (statement("s3:GetObject", "*", when), true),
            (statement("s3:*", "arn:aws:s3:::b", ""), false),
            (statement("s3:*", "*", when), false),
        ] {
            let allow =
                r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Null":{"a":"true"}}}"#;
            let of = |statement: &str| {
                parse_policy(&format!(r#"{{"Version":"2012-10-17","Statement":[{allow},{statement}]}}"#))
            };
            for (one, two) in [(&broad, &other), (&other, &broad)] {
                // Met with everything, so that what is kept shows; met with each other, where it is denied.
                let both = match effect {
                    "Deny" => of(one).intersect(&of(two)),
                    _ => parse_policy(&format!(r#"{{"Version":"2012-10-17","Statement":[{one},{two}]}}"#))
                        .intersect(&policy_allowing(r#""*""#)),
                };
                let kept = both.unwrap().to_string().matches(effect).count();
                assert_eq!(kept == 1, superfluous, "{effect}: {one} and {two}");
            }
        }
    }
}

#[test]
fn intersect_not_action_or_not_resource_is_invalid() {
    for rest in [r#""NotAction":"iam:*","Resource":"*""#, r#""Action":"*","NotResource":"arn:aws:s3:::b""#] {
        let general = parse_policy(&single_statement(&format!(r#""Effect":"Allow",{rest}"#)));
        for error in [
            general.intersect(&policy_allowing(r#""*""#)).unwrap_err(),
            policy_allowing(r#""*""#).intersect(&general).unwrap_err(),
        ] {
            assert!(error.message().contains("NotAction") && error.next_step().is_some(), "{error}");
        }
    }
}

#[test]
fn intersect_merges_conditions_or_refuses_conflict() {
    let when = |action: &str, conditions: &str| {
        parse_policy(&single_statement(&format!(
            r#""Effect":"Allow","Action":"{action}","Resource":"*","Condition":{conditions}"#
        )))
    };
    let mine = when("s3:*", r#"{"StringEquals":{"aws:PrincipalTag/team":["b","a"]}}"#);
    let theirs = when(
        "s3:Get*",
        r#"{"stringequals":{"aws:principaltag/Team":["a","b"],"s3:prefix":"x"},"Null":{"a":"true"}}"#,
    );
    let both = r#"{"Null":{"a":"true"},"StringEquals":{"aws:PrincipalTag/team":["a","b"],"s3:prefix":"x"}}"#;
    assert_eq!(mine.intersect(&theirs).unwrap(), when("s3:Get*", both));
    let other = when("s3:Get*", r#"{"StringEquals":{"aws:PrincipalTag/TEAM":"c"}}"#);
    let error = mine.intersect(&other).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("Condition")), "{error}");
    let elsewhere = when("ec2:*", r#"{"StringEquals":{"aws:PrincipalTag/TEAM":"c"}}"#);
    assert!(
        mine.intersect(&elsewhere).unwrap_err().message().contains("allows nothing"),
        "only what meets is compared"
    );
}

#[test]
fn intersect_too_long_result_is_invalid() {
    let list = |letter: char| {
        let names: Vec<_> = (0..60).map(|n| format!(r#""arn:aws:s3:::{letter}{n:02}*""#)).collect();
        names.join(",")
    };
    let policy_of = |resources: &str, key: char| {
        let padding = "x".repeat(500);
        parse_policy(&single_statement(&format!(
            r#""Effect":"Allow","Action":"s3:*","Resource":[{resources}],"Condition":{{"StringEquals":{{"{key}":"{padding}"}}}}"#
        )))
    };
    let (mine, theirs) = (policy_of(&list('a'), 'k'), policy_of(&list('a'), 'l'));
    let error = mine.intersect(&theirs).unwrap_err();
    assert!(error.message().contains("2,048") && error.next_step().is_some(), "{error}");
}
