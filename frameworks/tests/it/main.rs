//! One instance of each tool acts in the session of its call, and in no other one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

#[cfg(feature = "adk")]
mod adk;
#[cfg(feature = "rig")]
mod rig;

use serde_json::{Value, json};
use valetkey::SessionContext;
use valetkey::tools::ToolSet;

const SET: &str = "set_aws_credentials_context";
const GET: &str = "get_aws_credentials_context";
const SECRET: &str = "made-up-secret-of-the-test";

/// The tools of two users.
fn two_tool_sets() -> [ToolSet; 2] {
    [(); 2].map(|()| ToolSet::for_session(SessionContext::builder().build()))
}

/// The arguments that set a key whose last characters are `name`.
fn keys(name: &str) -> Value {
    let id = format!("AKIA000000000000{name}");
    json!({"credentials_json": {"access_key_id": id, "secret_access_key": SECRET}})
}
