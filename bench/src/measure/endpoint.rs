//! The credential endpoint against a bare handler of hyper: throughput and tail latency, with many sessions open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use valetkey_core::{Expiry, SessionContext};
use valetkey_mcp::CredentialEndpoint;
use valetkey_mcp::endpoint::{AdvertisedExpiry, Grant};

use crate::Result;
use crate::competitors::valetkey::payload_credentials;
use crate::env::BenchEnv;
use crate::fake_source::LIFETIME;
use crate::goal::Goal;
use crate::payload::Payload;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

const ENDPOINT: &str = "valetkey's endpoint";
const BARE: &str = "a bare hyper handler";
const METHOD: &str = "64 clients send requests as fast as they are served, each with a grant of its own, out of those \
    of 10,000 open sessions. Each request has a connection of its own: the endpoint closes a connection after its \
    response, and so does the bare handler, which returns a body of the same length. Clients and servers share two \
    worker threads, so the clients are a large part of both figures. The tail is that of 50 clients.";
const SESSIONS: u64 = 10_000;
const CLIENTS: usize = 64;
const TAIL_CLIENTS: usize = 50;

/// What a client requests.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    path: String,
    token: String,
}

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let (endpoint, grants, _sessions) =
        env.runtime.block_on(open_sessions(SESSIONS / env.profile.size_divisor as u64))?;
    let ours = grants.iter().map(target_of).collect::<Result<Vec<_>>>()?;
    let bare = env.runtime.block_on(async {
        let length = request_body_length(&ours[0]).await?;
        start_bare(length).await
    })?;
    let bare = vec![Target { address: bare, path: "/".to_owned(), token: "none".to_owned() }; CLIENTS];
    let duration = env.profile.time_per_load * 4;
    let (mut rates, mut bare_rates, mut tail) = (Rounds::default(), Rounds::default(), Rounds::default());
    for round in 0..=env.profile.rounds {
        let (rate, _) = env.runtime.block_on(load(&ours, CLIENTS, duration))?;
        let (bare_rate, _) = env.runtime.block_on(load(&bare, CLIENTS, duration))?;
        let (_, times) = env.runtime.block_on(load(&ours, TAIL_CLIENTS, duration))?;
        // The first round warms up.
        if round > 0 {
            rates.push(rate / 1e3);
            bare_rates.push(bare_rate / 1e3);
            tail.push(times.value_at_quantile(0.99) as f64 / 1e3);
        }
    }
    env.runtime.block_on(endpoint.stop());
    let mut section = Section::new("The credential endpoint", METHOD);
    let figure = Figure::new("requests, 64 at once", ENDPOINT, "k/s", &rates);
    section.push(figure.with_reference(BARE, &rates.ratio_to(&bare_rates)).with_goal(Goal::AtLeast(0.85)));
    section.push(Figure::new("requests, 64 at once", BARE, "k/s", &bare_rates));
    let tail = Figure::new("p99 of a request, 50 at once", ENDPOINT, "ms", &tail);
    section.push(tail.with_goal(Goal::AtMost(10.0)));
    Ok(vec![section])
}

type OpenSessions = (CredentialEndpoint, Vec<Grant>, Vec<SessionContext>);

async fn open_sessions(count: u64) -> Result<OpenSessions> {
    let endpoint = CredentialEndpoint::start().await?;
    let (mut grants, mut sessions) = (Vec::new(), Vec::new());
    for number in 0..count {
        let session = SessionContext::builder().build();
        let expiry = Expiry::At(SystemTime::now() + LIFETIME);
        session.set_credentials(payload_credentials(&Payload::with_number(number), expiry)?)?;
        let account = session.account(session.default_account())?;
        grants.push(endpoint.grant(account, "bench", AdvertisedExpiry::default()));
        sessions.push(session);
    }
    Ok((endpoint, grants, sessions))
}

fn target_of(grant: &Grant) -> Result<Target> {
    let url: http::Uri = grant.url().parse()?;
    let address = url.authority().ok_or("the grant's URL has no host")?.as_str().parse()?;
    Ok(Target { address, path: url.path().to_owned(), token: grant.expose_token().to_owned() })
}

/// Serves a body of this length for every request.
async fn start_bare(length: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let body = Bytes::from(vec![b'a'; length]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            let service = service_fn(move |_: Request<Incoming>| {
                let response = Response::builder()
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(body.clone()));
                std::future::ready(response)
            });
            let _no_delay = stream.set_nodelay(true);
            let connection = Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(address)
}

/// Makes one request on a connection of its own, and returns the length of its body.
async fn request_body_length(target: &Target) -> Result<usize> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(&target.path)
        .header(header::HOST, target.address.to_string())
        .header(header::AUTHORIZATION, &target.token)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() { Ok(body.len()) } else { Err(format!("the endpoint returned {status}").into()) }
}

/// Returns the requests per second of all clients, and the time of each request in microseconds.
async fn load(targets: &[Target], clients: usize, duration: Duration) -> Result<(f64, Histogram<u64>)> {
    let stride = (targets.len() / clients).max(1);
    let start = Arc::new(tokio::sync::Barrier::new(clients));
    let run = |target: Target, start: Arc<tokio::sync::Barrier>| async move {
        let mut times = Histogram::<u64>::new(3)?;
        start.wait().await;
        let begun = Instant::now();
        while begun.elapsed() < duration {
            let sent = Instant::now();
            request_body_length(&target).await?;
            times.saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX).max(1));
        }
        Result::Ok(times)
    };
    let chosen = targets.iter().step_by(stride).take(clients).cloned();
    let tasks: Vec<_> = chosen.map(|target| tokio::spawn(run(target, Arc::clone(&start)))).collect();
    let mut all = Histogram::<u64>::new(3)?;
    for task in tasks {
        all.add(task.await??)?;
    }
    Ok((all.len() as f64 / duration.as_secs_f64(), all))
}
