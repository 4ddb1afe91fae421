//! The tools and the prompt that return what they require of the client, and are called again with it (SEP-2322).

use rmcp::ErrorData;
use rmcp::model::{
    ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, InputResponses, RequestStateCodec,
};
use serde::{Deserialize, Serialize};

use crate::catalog::Inputs;

/// The key that seals request states. A server in production would load a secret one.
const KEY: &[u8] = b"the conformance fixture has no secrets";

/// What a request brings with it.
pub(crate) struct Attempt<'a> {
    /// The tool or prompt.
    pub(crate) name: &'a str,
    pub(crate) responses: Option<&'a InputResponses>,
    pub(crate) state: Option<&'a str>,
    pub(crate) capabilities: &'a ClientCapabilities,
}

/// The rounds of each tool, with the codec of their state.
pub(crate) struct InputRounds {
    codec: RequestStateCodec,
}

#[derive(Default, Deserialize, Serialize)]
struct State {
    round: usize,
}

impl InputRounds {
    pub(crate) fn new() -> Self {
        Self { codec: RequestStateCodec::new_unchecked(KEY) }
    }

    /// Returns what is still required, or `None` if the tool can run.
    ///
    /// # Errors
    /// When the request state was changed by the client.
    pub(crate) fn missing(
        &self,
        inputs: &Inputs,
        attempt: &Attempt<'_>,
    ) -> Result<Option<InputRequiredResult>, ErrorData> {
        let Some(rounds) = inputs.rounds.get(attempt.name) else { return Ok(None) };
        let is_sealed = inputs.sealed.iter().any(|name| name == attempt.name);
        let state = attempt.state.filter(|_| is_sealed).map(|state| self.open(state)).transpose()?;
        // A request without its state starts again, whatever responses it brings.
        let is_new = is_sealed && state.is_none();
        let mut round = state.unwrap_or_default().round;
        if !is_new && rounds.get(round).is_some_and(|keys| is_complete(inputs, keys, attempt)) {
            round += 1;
        }
        let Some(keys) = rounds.get(round) else { return Ok(None) };
        let state = is_sealed.then(|| self.seal(&State { round })).transpose()?;
        Ok(Some(InputRequiredResult::new(Some(requests(inputs, keys, attempt)), state)))
    }

    fn open(&self, state: &str) -> Result<State, ErrorData> {
        let failed = |_error| ErrorData::invalid_params("requestState is not one of this server", None);
        self.codec.open_json(state).map_err(failed)
    }

    fn seal(&self, state: &State) -> Result<String, ErrorData> {
        self.codec.seal_json(state).map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

/// Returns the requests of a round that the client is capable of.
fn requests(inputs: &Inputs, keys: &[String], attempt: &Attempt<'_>) -> InputRequests {
    let found =
        keys.iter().filter_map(|key| inputs.requests.get(key).map(|request| (key.clone(), request.clone())));
    found.filter(|(_, request)| is_capable(attempt.capabilities, request)).collect()
}

fn is_complete(inputs: &Inputs, keys: &[String], attempt: &Attempt<'_>) -> bool {
    requests(inputs, keys, attempt).keys().all(|key| has_response(attempt, key))
}

/// Whether the response is there and an object. Any other is as good as none.
fn has_response(attempt: &Attempt<'_>, key: &str) -> bool {
    attempt.responses.and_then(|responses| responses.get(key)).is_some_and(|response| response.is_object())
}

fn is_capable(capabilities: &ClientCapabilities, request: &InputRequest) -> bool {
    match request {
        InputRequest::CreateMessage(_) => capabilities.sampling.is_some(),
        InputRequest::Elicitation(_) => capabilities.elicitation.is_some(),
        InputRequest::ListRoots(_) => capabilities.roots.is_some(),
        _ => false,
    }
}
