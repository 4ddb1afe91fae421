//! Input that a modern server requires, as requests to a legacy client.
//!
//! A modern server returns what it requires, and is called again with the responses. A legacy client gets each request
//! during its call, as from a server of its own era.

use serde_json::{Map, Value};

use super::{ClientLink, Refusal};
use crate::Redactor;

/// How often a server may be called for one call of a client.
pub(crate) const MAX_ROUNDS: usize = 8;
/// The maximum number of requests in one result.
const MAX_REQUESTS: usize = 8;

/// Whether a server returned what it requires, in place of a result.
pub(crate) fn requires_input(result: &Value) -> bool {
    result.get("resultType").is_some_and(|kind| kind == "input_required")
}

impl dyn ClientLink + '_ {
    /// Sends the requests of a result to the client, masked and one after another. Returns the parameters that are added
    /// when the server is called again.
    ///
    /// # Errors
    /// As for [`request`](Self::request), and when the client responds with an error.
    ///
    /// # Cancel safety
    /// Dropping the future notifies the client of the cancellation.
    pub(crate) async fn gather_input(
        &self,
        mut result: Value,
        redactor: &Redactor,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut take = |field: &str| result.get_mut(field).map(Value::take);
        let Some(Value::Object(requests)) = take("inputRequests") else { return Err(Refusal::UNREADABLE) };
        if requests.len() > MAX_REQUESTS {
            return Err(Refusal::TOO_MANY);
        }
        let mut responses = Map::new();
        for (key, request) in requests {
            let mut masked = redactor.mask_json_async(request).await.ok_or(Refusal::UNREADABLE)?;
            let params = masked.as_object_mut().and_then(|masked| masked.remove("params"));
            let mut response = self.request(masked["method"].as_str().unwrap_or_default(), params).await?;
            responses.insert(key, response.get_mut("result").map(Value::take).ok_or(Refusal::REFUSED)?);
        }
        let state = take("requestState").map(|state| ("requestState".to_owned(), state));
        Ok(state.into_iter().chain([("inputResponses".to_owned(), responses.into())]).collect())
    }
}
