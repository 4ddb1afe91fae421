//! The reference botocore, the JavaScript packages and the package runners are installed and usable.

use std::process::Command;

use valetkey_rig::{Result, Script, Venv, packages};

#[test]
fn package_runners_are_the_pinned_ones() -> Result<()> {
    for (program, version) in [(Venv::Node.program("uv")?, "uv 0.13.8"), (packages::bun()?, "1.4.4")] {
        let said = Command::new(program).arg("--version").output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.starts_with(version), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn botocore_model_has_scoped_credentials() -> Result<()> {
    let model = "import botocore.session; \
        model = botocore.session.get_session().get_service_model('sts'); \
        print(model.operation_model('GetScopedCredentials').output_shape.members.keys())";
    let members = Script::python_in(Venv::Botocore, "-c").arg(model).run().await?;
    assert!(members.contains("'Credentials'"), "{members}");
    Ok(())
}

#[tokio::test]
async fn node_pinned_packages_resolve() -> Result<()> {
    let program = "const require = process.getBuiltinModule('node:module').createRequire(process.env.RIG_NODE + '/'); \
        const { STSClient } = require('@aws-sdk/client-sts'); \
        const { Client } = require('@modelcontextprotocol/sdk/client/index.js'); \
        console.log(typeof STSClient, typeof Client);";
    let printed = Script::node("-e").arg(program).run().await?;
    assert_eq!(printed.trim(), "function function");
    Ok(())
}
