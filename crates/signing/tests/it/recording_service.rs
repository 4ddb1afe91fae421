//! A service that records what reaches it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use valetkey_core::{Credentials, SessionContext};
use valetkey_signing::{Placeholder, ProxySettings, Rules, SigningProxy};

/// What reached the service: the first line, `X-Amz-Target` and the body.
pub(crate) type RecordedRequest = (String, String, Bytes);

/// A proxy in front of a service that returns an empty response to every complete request.
pub(crate) struct RecordingFixture {
    pub(crate) placeholder: Placeholder,
    /// Where the service itself listens.
    pub(crate) service_url: String,
    requests: UnboundedReceiver<Request<Bytes>>,
    _session: SessionContext,
    _proxy: SigningProxy,
}

impl RecordingFixture {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| respond(sender.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        let session = SessionContext::builder().build();
        let key = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
        session.set_credentials(Credentials::builder(key, "secret".into()).build().unwrap()).unwrap();
        let settings = ProxySettings::default().endpoint(&url).unwrap();
        let proxy = SigningProxy::start_with(settings).await.unwrap();
        let account = session.account(session.default_account()).unwrap();
        let placeholder = proxy.placeholder(account, "test", Rules::default());
        Self { placeholder, service_url: url, requests, _session: session, _proxy: proxy }
    }

    /// Returns the address of the proxy.
    pub(crate) fn address(&self) -> String {
        self.placeholder.url().strip_prefix("http://").unwrap().to_owned()
    }

    /// Returns the requests that reached the service since the last call.
    pub(crate) fn requests(&mut self) -> Vec<Request<Bytes>> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }

    /// Returns the main parts of the requests that reached the service since the last call.
    pub(crate) fn recorded(&mut self) -> Vec<RecordedRequest> {
        self.requests().into_iter().map(recorded).collect()
    }
}

fn recorded(request: Request<Bytes>) -> RecordedRequest {
    let target = request.headers().get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    (format!("{} {}", request.method(), request.uri()), target.unwrap_or_default(), request.into_body())
}

async fn respond(
    sender: UnboundedSender<Request<Bytes>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Ok(body) = body.collect().await {
        let _test_ended = sender.send(Request::from_parts(parts, body.to_bytes()));
    }
    Ok(Response::default())
}
