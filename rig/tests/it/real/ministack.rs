//! MiniStack: seeded, and as strict as the isolation tests need it.

use valetkey_rig::{MiniStack, Result, Script, Seed};

use super::{caller_arn, script_path, signing_env, unknown_key};

#[tokio::test]
async fn ministack_seeded_keys_accepted_unknown_refused() -> Result<()> {
    let ministack = MiniStack::start().await?;
    let seed = ministack.seed().await?;

    let broker = caller_arn(&ministack.url(), &seed.broker).await?;
    assert_eq!(broker, format!("arn:aws:iam::{}:user/broker", seed.broker_account));
    for tenant in &seed.tenants {
        let service = format!("arn:aws:iam::{}:user/service", tenant.account);
        assert_eq!(caller_arn(&ministack.url(), &tenant.service).await?, service);
    }
    assert_eq!(caller_arn(&ministack.url(), &unknown_key()).await?, "InvalidClientTokenId");
    ministack.stop().await
}

#[tokio::test]
async fn ministack_seed_enforces_external_id_and_secret_access() -> Result<()> {
    let ministack = MiniStack::start().await?;
    let seed = ministack.seed().await?;
    let tenant = &seed.tenants[0];

    let right = run_as_broker(&ministack, &seed, &["assume", &tenant.role_arn, &tenant.external_id]).await?;
    assert_eq!(right, format!("arn:aws:sts::{}:assumed-role/agent/rig", tenant.account));
    let wrong = run_as_broker(&ministack, &seed, &["assume", &tenant.role_arn, "another-id"]).await?;
    assert_eq!(wrong, "AccessDenied");

    let secret = run_as_broker(&ministack, &seed, &["secret", &tenant.secret_id]).await?;
    assert!(secret.contains(&tenant.service.access_key_id) && secret.contains("us-west-2"), "{secret}");
    ministack.stop().await
}

async fn run_as_broker(ministack: &MiniStack, seed: &Seed, args: &[&str]) -> Result<String> {
    let script = args.iter().fold(Script::new(script_path("broker.py")), |script, arg| script.arg(arg));
    let answer = script.envs(signing_env(&ministack.url(), &seed.broker)).run().await?;
    Ok(answer.trim().to_owned())
}
