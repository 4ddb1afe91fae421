//! Small requests: their duration, their rate, and one signature alone.

use std::sync::Arc;
use std::time::Instant;

use http::Request;
use tokio::runtime::Builder;
use tokio::sync::Barrier;
use valetkey_signing::RequestSigner;

use crate::Result;
use crate::env::BenchEnv;
use crate::goal::Goal;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::signing::body::SentBody;
use crate::signing::caller::SigningCaller;
use crate::signing::connection::ClientConnection;
use crate::signing::fixture::{BARE, DIRECT, ProxyFixture, VALETKEY, WAYS};

/// The requests of one round and way.
const REQUESTS: usize = 1_000;
const CONNECTIONS: usize = 64;
const REQUESTS_PER_CONNECTION: usize = 100;
const SIGNATURES: usize = 2_000;
const P50: &str = "a request, p50";
const ADDED: &str = "added to p50";
const RATE: &str = "requests, 64 connections";
const SIGNATURE: &str = "one signature";
const CLIENT: &str = "the client, with aws-sigv4";

pub(super) fn push_durations(env: &BenchEnv, section: &mut Section) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut all = WAYS.map(|_| Rounds::default());
    runtime.block_on(async {
        let fixture = ProxyFixture::start().await?;
        let mut connections = Vec::new();
        for caller in &fixture.callers {
            connections.push(ClientConnection::open(caller.address).await?);
        }
        for round in 0..=env.profile.rounds {
            let ways = fixture.callers.iter().zip(&mut connections).zip(&mut all);
            for ((caller, connection), rounds) in ways {
                let median = median_duration(caller, connection, REQUESTS / env.profile.size_divisor).await?;
                // The first round warms up.
                if round > 0 {
                    rounds.push(median);
                }
            }
        }
        Result::Ok(())
    })?;
    let [direct, bare, ours] = all;
    section.push(Figure::new(P50, DIRECT, "µs", &direct));
    section.push(Figure::new(P50, BARE, "µs", &bare));
    section.push(Figure::new(P50, VALETKEY, "µs", &ours).with_reference(BARE, &ours.ratio_to(&bare)));
    let (bare_added, added) = (bare.minus(&direct), ours.minus(&direct));
    section.push(Figure::new(ADDED, BARE, "µs", &bare_added));
    let ratio = added.ratio_to(&bare_added);
    let figure = Figure::new(ADDED, VALETKEY, "µs", &added).with_reference(BARE, &ratio);
    section.push(figure.with_goal(Goal::AtMost(1.3)));
    let difference = Figure::new("added beyond the peer", VALETKEY, "µs", &ours.minus(&bare));
    section.push(difference.with_goal(Goal::AtMost(150.0)));
    Ok(())
}

/// Returns the median in microseconds.
async fn median_duration(
    caller: &SigningCaller,
    connection: &mut ClientConnection,
    count: usize,
) -> Result<f64> {
    let requests = (0..count).map(|_| caller.small()).collect::<Result<Vec<_>>>()?;
    let mut durations = Rounds::default();
    for request in requests {
        let (duration, ..) = connection.exchange(request).await?;
        durations.push(duration.as_secs_f64() * 1e6);
    }
    Ok(durations.median())
}

pub(super) fn push_rates(env: &BenchEnv, section: &mut Section) -> Result<()> {
    let mut all = WAYS.map(|_| Rounds::default());
    env.runtime.block_on(async {
        let fixture = ProxyFixture::start().await?;
        for round in 0..=env.profile.rounds {
            for (caller, rounds) in fixture.callers.iter().zip(&mut all) {
                let rate =
                    requests_per_second(caller, REQUESTS_PER_CONNECTION / env.profile.size_divisor).await?;
                if round > 0 {
                    rounds.push(rate / 1e3);
                }
            }
        }
        Result::Ok(())
    })?;
    let [direct, bare, ours] = all;
    section.push(Figure::new(RATE, DIRECT, "k/s", &direct));
    section.push(Figure::new(RATE, BARE, "k/s", &bare));
    let figure = Figure::new(RATE, VALETKEY, "k/s", &ours).with_reference(BARE, &ours.ratio_to(&bare));
    section.push(figure.with_goal(Goal::AtLeast(0.8)));
    Ok(())
}

async fn requests_per_second(caller: &SigningCaller, count: usize) -> Result<f64> {
    let start = Arc::new(Barrier::new(CONNECTIONS + 1));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let requests = (0..count).map(|_| caller.small()).collect::<Result<Vec<_>>>()?;
        let connection = ClientConnection::open(caller.address).await?;
        clients.push(tokio::spawn(send_all(connection, requests, Arc::clone(&start))));
    }
    start.wait().await;
    let begun = Instant::now();
    for client in clients {
        client.await??;
    }
    Ok((CONNECTIONS * count) as f64 / begun.elapsed().as_secs_f64())
}

async fn send_all(
    mut connection: ClientConnection,
    requests: Vec<Request<SentBody>>,
    start: Arc<Barrier>,
) -> Result<()> {
    start.wait().await;
    for request in requests {
        connection.exchange(request).await?;
    }
    Ok(())
}

pub(super) fn push_signature(env: &BenchEnv, section: &mut Section) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut ours, mut client) = (Rounds::default(), Rounds::default());
    runtime.block_on(async {
        let fixture = ProxyFixture::start().await?;
        let account = fixture.session.account(fixture.session.default_account())?;
        let signer = RequestSigner::new(account, "bench", "dynamodb", "eu-west-1");
        let url = "https://dynamodb.eu-west-1.amazonaws.com/";
        let (mut parts, body) = Request::post(url).body([b'a'; 200])?.into_parts();
        let count = SIGNATURES / env.profile.size_divisor;
        for round in 0..=env.profile.rounds {
            let begun = Instant::now();
            for _ in 0..count {
                signer.sign(&mut parts, &body).await?;
            }
            let signed = Instant::now();
            for _ in 0..count {
                fixture.callers[0].small()?;
            }
            if round > 0 {
                let each = 1e6 / count as f64;
                ours.push(signed.duration_since(begun).as_secs_f64() * each);
                client.push(signed.elapsed().as_secs_f64() * each);
            }
        }
        Result::Ok(())
    })?;
    section.push(Figure::new(SIGNATURE, CLIENT, "µs", &client));
    let figure = Figure::new(SIGNATURE, "valetkey's request signer", "µs", &ours);
    section.push(figure.with_reference(CLIENT, &ours.ratio_to(&client)));
    Ok(())
}
