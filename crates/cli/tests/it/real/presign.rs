//! `valetkey presign`: curl uses its URLs at moto, and botocore computes the same signatures.

use valetkey_rig::{Moto, aws_environment};

use super::{program_path, python_script};
use crate::program_fixture::ProgramFixture;

const SECRET: &str = "canary/Secret+OfThisTest";
const OBJECT: &str = "s3://reports/2026/a report (größe+1).txt";

fn fixture(moto: &Moto) -> ProgramFixture {
    ProgramFixture::new()
        .envs(aws_environment(&moto.url()))
        .env("AWS_ACCESS_KEY_ID", "ASIAUNKNOWN000000001")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", "canary/Token+of==")
}

/// Runs a program that succeeds, and returns its output.
async fn run(fixture: &ProgramFixture, program: &str, arguments: &[&str]) -> String {
    let output = fixture.run_program(program, arguments).await;
    assert_eq!(output.code, Some(0), "{program} {arguments:?}: {output:?}");
    output.stdout
}

#[tokio::test]
async fn presign_urls_upload_and_download_with_curl() {
    let moto = Moto::start().await.unwrap();
    let fixture = fixture(&moto).file("report.txt", "the report");
    run(&fixture, &program_path("aws"), &["s3", "mb", "s3://reports"]).await;
    let script = python_script("presigned.py");
    let mut urls = Vec::new();
    for method in ["put", "get"] {
        let output = fixture.run(&["presign", OBJECT, "--method", method, "--expires", "20m"]).await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        let url = output.stdout.trim_end().to_owned();
        assert!(url.contains("X-Amz-Expires=1200") && !url.contains(SECRET), "{url}");
        let arguments = [script.to_str().unwrap(), &method.to_uppercase(), &url, SECRET];
        assert_eq!(run(&fixture, &program_path("python"), &arguments).await, "valid\n", "{url}");
        urls.push(url);
    }
    run(&fixture, "curl", &["-sSf", "-T", "report.txt", &urls[0]]).await;
    assert_eq!(run(&fixture, "curl", &["-sSf", &urls[1]]).await, "the report");
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn presign_is_audited_and_bounded() {
    let moto = Moto::start().await.unwrap();
    let settings = "[audit]\nfile = 'audit.jsonl'\n[accounts.keys]\nprovider = 'environment'\n";
    let expiry = "2499-01-01T00:00:00Z";
    let fixture = fixture(&moto).file("valetkey.toml", settings).env("AWS_CREDENTIAL_EXPIRATION", expiry);
    let output = fixture.run(&["presign", OBJECT, "--region", "eu-west-1"]).await;
    assert!(output.stdout.contains("eu-west-1%2Fs3"), "{output:?}");
    let records = std::fs::read_to_string(fixture.path("audit.jsonl")).unwrap();
    let served = records.lines().find(|line| line.contains("\"serve\"")).unwrap();
    assert!(served.contains("presign") && !records.contains("canary"), "{records}");
    for (arguments, words) in [
        (&["presign", OBJECT, "--expires", "8d"][..], "with a unit"),
        (&["presign", OBJECT, "--expires", "169h"], "between one second and seven days"),
        (&["presign", "reports/canary"], "s3://bucket/key"),
        (&["presign", OBJECT, "--region", "xx-nowhere-1"], "no such region"),
    ] {
        let refused = fixture.run(arguments).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
        assert!(refused.stderr.contains(words) && !refused.stderr.contains("canary"), "{refused:?}");
    }
    moto.stop().await.unwrap();
}
