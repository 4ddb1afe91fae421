//! One message to a server, and everything that its response contains.
//!
//! A response is one JSON document, or a stream of events that ends with the response to the request. A server may end such
//! a stream early, after an event with an id: then the rest is requested by a GET with `Last-Event-ID`, after the delay that
//! the server has specified. A stream without ids that ends early is a failure, since the request may have been executed.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::event_stream::{Event, EventDecoder, MAX_EVENT_SIZE};
use super::message::{IncomingParts, OutgoingMessage};
use super::state::{ExchangeError, RemoteState};
use crate::connection::REMOTE_FAILURE_CODE;

/// The delay before events are requested again, unless the server specifies another one.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Limits on the delay that a server may specify.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
/// The number of times that the rest of a response is requested without any event.
const MAX_FRUITLESS_RETRIES: u32 = 5;

/// The lines to the connection, each without its end.
pub(super) type Lines = mpsc::Sender<Vec<u8>>;

/// How an exchange has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The server no longer knows the session, so that the connection is of no more use.
    SessionEnded,
}

/// Sends a message and passes on its response. A request always gets a response: if the server sends none, one with the
/// reason.
pub(super) async fn exchange(state: Arc<RemoteState>, message: OutgoingMessage, output: Lines) -> Outcome {
    let response = match try_exchange(&state, &message, &output).await {
        Ok(()) => return Outcome::Done,
        Err(ExchangeError::SessionEnded) => return Outcome::SessionEnded,
        Err(ExchangeError::Refused(error)) => {
            message.request_id().map(|id| json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())
        }
        Err(ExchangeError::Rejected(reason) | ExchangeError::Failed(reason)) => {
            message.error_response(REMOTE_FAILURE_CODE, &format!("the server {reason}"))
        }
    };
    if let Some(response) = response {
        // Fails only when the connection has ended.
        let _sent = output.send(response.into()).await;
    }
    Outcome::Done
}

async fn try_exchange(
    state: &RemoteState,
    message: &OutgoingMessage,
    output: &Lines,
) -> Result<(), ExchangeError> {
    let response = state.post(message).await?;
    let is_initialize = message.method() == Some("initialize");
    if is_initialize {
        state.record_session(response.headers());
    }
    let Some(id) = message.request_id() else { return Ok(()) };
    match media_type(response.headers()) {
        Some("application/json") => {
            let body = Limited::new(response.into_body(), MAX_EVENT_SIZE).collect().await;
            let body = body.map_err(|_| failed("has sent an incomplete response, or one over 16 MiB"))?;
            let line = to_line(body.to_bytes().to_vec());
            if is_initialize {
                state.record_version(&line);
            }
            let _sent = output.send(line).await;
            Ok(())
        }
        Some("text/event-stream") => {
            let mut stream = EventReader { state, output, awaited: Some(id), is_initialize, last_id: None };
            stream.read_to_response(response).await
        }
        _ => Err(failed("has sent neither JSON nor events")),
    }
}

/// Passes on what the server sends by itself, with the legacy protocol, until the future is dropped or the session ends.
/// A server without such a stream refuses the request.
pub(super) async fn listen(state: Arc<RemoteState>, output: Lines) -> Outcome {
    let mut stream =
        EventReader { state: &state, output: &output, awaited: None, is_initialize: false, last_id: None };
    let mut delay = RETRY_DELAY;
    loop {
        match state.listen(stream.last_id.as_deref()).await {
            Ok(response) if media_type(response.headers()) == Some("text/event-stream") => {
                delay = match stream.read(response).await {
                    Ok(Read { retry, .. }) => retry.unwrap_or(RETRY_DELAY),
                    Err(_) => return Outcome::Done,
                };
            }
            Err(ExchangeError::SessionEnded) => return Outcome::SessionEnded,
            Err(ExchangeError::Failed(_)) if state.has_session() => delay = (delay * 2).min(MAX_RETRY_DELAY),
            Ok(_) | Err(_) => return Outcome::Done,
        }
        sleep(delay).await;
    }
}

/// Passes on the messages in the events of responses.
struct EventReader<'a> {
    state: &'a RemoteState,
    output: &'a Lines,
    /// The request that ends with its response.
    awaited: Option<&'a Value>,
    is_initialize: bool,
    last_id: Option<String>,
}

/// What was read of one response.
#[derive(Default)]
struct Read {
    /// Whether the awaited response was among the events.
    is_complete: bool,
    events: usize,
    /// The delay that the server has specified for the next request.
    retry: Option<Duration>,
}

impl EventReader<'_> {
    /// Reads until the awaited response. A server may end a body earlier, and continue it in the body of a GET.
    async fn read_to_response(&mut self, response: Response<Incoming>) -> Result<(), ExchangeError> {
        let (mut body, mut fruitless) = (Some(response), 0);
        loop {
            let read = match body.take() {
                Some(body) => self.read(body).await?,
                None => Read::default(),
            };
            fruitless = if read.events == 0 { fruitless + 1 } else { 0 };
            if read.is_complete {
                return Ok(());
            }
            if self.last_id.is_none() || fruitless > MAX_FRUITLESS_RETRIES {
                return Err(failed("has ended the response before its result"));
            }
            sleep(read.retry.unwrap_or(RETRY_DELAY)).await;
            match self.state.listen(self.last_id.as_deref()).await {
                Ok(response) if response.status() == StatusCode::OK => body = Some(response),
                Err(ExchangeError::SessionEnded) => return Err(ExchangeError::SessionEnded),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Reads one body, up to the awaited response.
    async fn read(&mut self, response: Response<Incoming>) -> Result<Read, ExchangeError> {
        let (mut body, mut decoder) = (response.into_body(), EventDecoder::default());
        let (mut read, mut events) = (Read::default(), Vec::new());
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(chunk) = frame.into_data() else { continue };
            let decoded = decoder.push(&chunk, &mut events);
            for event in events.drain(..) {
                read.events += 1;
                read.retry = event.retry.map(Duration::from_millis).or(read.retry);
                read.retry = read.retry.map(|retry| retry.clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY));
                read.is_complete |= self.deliver(event).await;
            }
            decoded.map_err(|_| failed("has sent an event over 16 MiB"))?;
            if read.is_complete {
                break;
            }
        }
        Ok(read)
    }

    /// Passes on a message, and returns whether it is the awaited response.
    async fn deliver(&mut self, event: Event) -> bool {
        self.last_id = event.id.or(self.last_id.take());
        if event.data.is_empty() {
            return false;
        }
        let line = to_line(event.data);
        let is_response = self.awaited.is_some_and(|id| IncomingParts::responds_to(&line, id));
        if is_response && self.is_initialize {
            self.state.record_version(&line);
        }
        // Fails only when the connection has ended.
        let _sent = self.output.send(line).await;
        is_response
    }
}

fn failed(reason: &str) -> ExchangeError {
    ExchangeError::Failed(reason.to_owned())
}

/// JSON has line breaks only between its tokens.
fn to_line(mut message: Vec<u8>) -> Vec<u8> {
    message.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    message
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}
