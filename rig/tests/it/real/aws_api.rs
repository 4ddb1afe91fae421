//! The real MCP server and the real CLI start in this rig and call AWS with the identity of their environment.

use valetkey_rig::{Egress, Moto, Result, Script, aws_api_environment, program};

use super::{script_path, signing_env, unknown_key};

#[tokio::test]
async fn aws_api_server_call_returns_caller_identity() -> Result<()> {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start())?;
    let answer = Script::new(script_path("mcp_caller.py"))
        .arg(program("awslabs.aws-api-mcp-server")?)
        .envs(signing_env(&moto.url(), &unknown_key()))
        .envs(aws_api_environment(&egress))
        .run()
        .await?;

    assert!(answer.contains("arn:aws:sts::123456789012:user/moto"), "{answer}");
    moto.stop().await?;
    egress.stop().await
}

#[tokio::test]
async fn aws_cli_in_main_environment_calls_moto() -> Result<()> {
    let moto = Moto::start().await?;
    let answer = Script::new("-c")
        .arg("import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))")
        .arg(program("aws")?)
        .arg("sts")
        .arg("get-caller-identity")
        .envs(signing_env(&moto.url(), &unknown_key()))
        .run()
        .await?;
    assert!(answer.contains("123456789012"), "{answer}");
    moto.stop().await
}
