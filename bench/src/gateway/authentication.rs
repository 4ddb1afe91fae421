//! What authentication adds to a request: calls of a small tool with and without it, over one connection each.

use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;
use valetkey_rig::SigningKey;

use super::load::turns;
use super::subjects::Programs;
use crate::Result;
use crate::fleet::client::ToolClient;
use crate::rounds::Rounds;

/// The settings of a gateway whose callers have tokens of an issuer.
const SETTINGS: &str = "[accounts.dev]
provider = \"environment\"
[principals.bench]
accounts = [\"dev\"]
issuer = \"idp\"
subjects = [\"bench\"]
[http.issuers.idp]
issuer = \"https://idp.example.com\"
jwks_file = \"jwks.json\"
audiences = [\"https://mcp.example.com/mcp\"]
";
const SETTINGS_FILE: &str = "issuer.toml";
/// A tool that reads nothing but the sessions of its caller.
const TOOL: &str = "list_credential_sessions";

/// The median durations of a call, in microseconds, by round.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct AuthenticationTimes {
    /// Every caller is the same principal.
    pub(crate) none: Vec<f64>,
    /// All calls have one token, which is verified once.
    pub(crate) known_token: Vec<f64>,
    /// Each call has another token of a known key, which is verified.
    pub(crate) new_token: Vec<f64>,
}

pub(crate) async fn measure(programs: &Programs, rounds: usize, calls: usize) -> Result<AuthenticationTimes> {
    let key = SigningKey::rsa("bench")?;
    let keys = json!({"keys": [key.jwk()?]}).to_string();
    fs::write(programs.folder.join("jwks.json"), keys)?;
    fs::write(programs.folder.join(SETTINGS_FILE), SETTINGS)?;
    let (open, closed) = (
        programs.start_valetkey_http("http.toml").await?,
        programs.start_valetkey_http(SETTINGS_FILE).await?,
    );
    let known = token(&key, 0)?;
    let mut none = ToolClient::new(open.address(), None);
    let mut authenticated = ToolClient::new(closed.address(), Some(known.clone()));
    let mut times = AuthenticationTimes::default();
    for round in 0..=rounds {
        let new: Vec<String> =
            (0..calls).map(|call| token(&key, 1 + round * calls + call)).collect::<Result<_>>()?;
        let mut durations = <[Rounds; 3]>::default();
        for turn in turns(calls) {
            let known = std::iter::repeat_n(Some(&known), turn.len());
            let [without, with_known, with_new] = &mut durations;
            push_durations(&mut none, std::iter::repeat_n(None, turn.len()), without).await?;
            push_durations(&mut authenticated, known, with_known).await?;
            push_durations(&mut authenticated, new[turn].iter().map(Some), with_new).await?;
        }
        // The first round warms up.
        if round > 0 {
            let [without, with_known, with_new] = durations.map(|durations| durations.median());
            times.none.push(without);
            times.known_token.push(with_known);
            times.new_token.push(with_new);
        }
    }
    Ok(times)
}

/// Adds the duration of a call with each of these tokens, in microseconds.
async fn push_durations(
    client: &mut ToolClient,
    tokens: impl Iterator<Item = Option<&String>>,
    durations: &mut Rounds,
) -> Result<()> {
    let arguments = json!({});
    for token in tokens {
        client.set_token(token.cloned());
        let start = Instant::now();
        let reply = client.call(TOOL, &arguments).await?;
        durations.push(start.elapsed().as_secs_f64() * 1e6);
        reply.into_content()?;
    }
    Ok(())
}

/// Returns an access token, another one for each number.
fn token(key: &SigningKey, number: usize) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(key.token(&json!({
        "iss": "https://idp.example.com", "aud": "https://mcp.example.com/mcp", "sub": "bench",
        "iat": now, "exp": now + 3_600, "jti": number.to_string(),
    }))?)
}
