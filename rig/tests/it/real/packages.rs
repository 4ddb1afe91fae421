//! The reference botocore and the JavaScript packages are installed and usable.

use valetkey_rig::{Result, Script, Venv};

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
