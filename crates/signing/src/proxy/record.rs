//! `ExchangeRecord`: writes the audit record of one request when its response ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use valetkey_core::Credentials;
use valetkey_core::audit::{AuditEvent, RequestRecord};

use crate::payload::{BodyError, ForwardedBody};
use crate::placeholder::PlaceholderState;
use crate::refusal::Refusal;
use crate::routes::ServiceRoute;

/// The headers in which services return the id of a request.
const REQUEST_ID_HEADERS: [&str; 3] = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"];
/// Limit on a recorded name or id, in bytes. Those of AWS are shorter.
const MAX_TEXT: usize = 128;

/// The record of one exchange. It is written exactly once: when the request is refused, when the response ends, or when
/// either side leaves in between. A request that was neither sent nor refused leaves no record.
///
/// No text of the program is recorded unless it has the form of a name.
pub(super) struct ExchangeRecord {
    /// `None` once it was written, and for sessions that are gone.
    record: Option<RequestRecord>,
    started: Instant,
    /// Counts what was sent to the service; `None` until the request is sent.
    request_bytes: Option<Arc<AtomicU64>>,
}

impl ExchangeRecord {
    pub(super) fn begin(placeholder: &PlaceholderState) -> Self {
        let record = placeholder.account.begin_request(&placeholder.holder);
        Self { record, started: Instant::now(), request_bytes: None }
    }

    /// Notes what the request addresses. `region` has selected an entry of the table.
    pub(super) fn addressed(&mut self, service: &ServiceRoute, region: &str) {
        if let Some(record) = &mut self.record {
            record.details.service = Some(service.name().to_owned());
            record.details.region = Some(region.to_owned());
        }
    }

    /// Notes the operation, which is a text of the program: one that has not the form of a name is left out, since it
    /// could contain anything.
    pub(super) fn operation(&mut self, name: Option<&str>) {
        let is_name = |name: &&str| name.len() <= MAX_TEXT && name.bytes().all(|c| c.is_ascii_alphanumeric());
        if let Some(record) = &mut self.record {
            record.details.operation = name.filter(is_name).map(str::to_owned);
        }
    }

    /// Notes the credentials, and counts the body that is about to be sent with them.
    pub(super) fn sending(&mut self, credentials: &Credentials, body: ForwardedBody) -> ForwardedBody {
        if let Some(record) = &mut self.record {
            record.signed_with(credentials);
        }
        let sent = Arc::clone(self.request_bytes.insert(Arc::default()));
        let count = move |frame: &Frame<Bytes>| {
            sent.fetch_add(data_length(frame), Ordering::Relaxed);
        };
        body.inspect_frame(count).boxed_unsync()
    }

    /// Writes the record of a request that is not forwarded, or whose service did not respond. Whether its body was handed
    /// to the client of the service distinguishes the two.
    pub(super) fn refused(mut self, refusal: &Refusal) {
        let event = if self.request_bytes.is_some() { AuditEvent::Request } else { AuditEvent::Deny };
        self.write(event, Some(refusal));
    }

    /// Returns the response, which writes the record when it ends. Until then the record is part of its body, so that it is
    /// written too if the connection is closed.
    pub(super) fn responded(mut self, response: Response<ForwardedBody>) -> Response<ForwardedBody> {
        if let Some(record) = &mut self.record {
            record.details.status = Some(response.status().as_u16());
            record.details.request_id = request_id(response.headers());
        }
        response.map(|inner| RecordedBody { inner, record: self }.boxed_unsync())
    }

    fn passed_on(&mut self, frame: &Frame<Bytes>) {
        if let Some(record) = &mut self.record {
            record.details.response_bytes += data_length(frame);
        }
    }

    fn write(&mut self, event: AuditEvent, refusal: Option<&Refusal>) {
        let Some(mut record) = self.record.take() else { return };
        record.details.duration = self.started.elapsed();
        let sent = self.request_bytes.as_ref().map(|sent| sent.load(Ordering::Relaxed));
        record.details.request_bytes = sent.unwrap_or_default();
        record.finish(event, refusal.map(Refusal::to_error).as_ref());
    }
}

impl Drop for ExchangeRecord {
    fn drop(&mut self) {
        if self.request_bytes.is_some() {
            self.write(AuditEvent::Request, None);
        }
    }
}

/// Returns the id that the service gave the request, if it has the form of one.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    let is_id = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'/' | b'+' | b'=');
    (id.len() <= MAX_TEXT && id.bytes().all(is_id)).then(|| id.to_owned())
}

/// The body of a response, with the record of its exchange.
struct RecordedBody {
    inner: ForwardedBody,
    record: ExchangeRecord,
}

impl RecordedBody {
    fn complete(&mut self) {
        if let Some(record) = &mut self.record.record {
            record.details.complete = true;
        }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.record.passed_on(frame),
            Some(Err(_)) => {}
            None => self.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RecordedBody {
    fn drop(&mut self) {
        // A connection need not ask for the end of a body that has ended.
        if self.inner.is_end_stream() {
            self.complete();
        }
    }
}

fn data_length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn request_id_of_another_form_is_not_recorded() {
        let id = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            request_id(&HeaderMap::from_iter([("x-amz-request-id".parse().unwrap(), value)]))
        };
        assert_eq!(id("5f5-a/B+c=").as_deref(), Some("5f5-a/B+c="));
        assert_eq!((id("a b"), id("\"x\""), id(&"a".repeat(MAX_TEXT + 1))), (None, None, None));
    }
}
