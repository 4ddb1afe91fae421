//! Large bodies in both directions.

use http::Request;
use ring::digest::{Context, SHA256};

use crate::Result;
use crate::env::BenchEnv;
use crate::goal::Goal;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::signing::body::{FRAME, SentBody, large_frame};
use crate::signing::caller::{SigningCaller, UploadMode};
use crate::signing::connection::ClientConnection;
use crate::signing::fixture::{BARE, ProxyFixture, VALETKEY, WAYS};

/// 1 GiB.
const LENGTH: u64 = 1 << 30;

/// The transfers, by name. `None` is a download.
const TRANSFERS: [(&str, Option<UploadMode>); 4] = [
    ("download of 1 GiB", None),
    ("upload of 1 GiB, unsigned", Some(UploadMode::Unsigned)),
    ("upload of 1 GiB, with its hash", Some(UploadMode::Hash)),
    ("upload of 1 GiB, signed chunks", Some(UploadMode::SignedChunks)),
];

pub(super) fn push_transfers(env: &BenchEnv, section: &mut Section) -> Result<()> {
    let length = LENGTH / env.profile.size_divisor as u64 / FRAME as u64 * FRAME as u64;
    let hash = hash_of_large(length);
    for (name, mode) in TRANSFERS {
        let mut all = WAYS.map(|_| Rounds::default());
        env.runtime.block_on(async {
            let fixture = ProxyFixture::start().await?;
            for _ in 0..env.profile.herd_rounds {
                for (caller, rounds) in fixture.callers.iter().zip(&mut all) {
                    rounds.push(bytes_per_second(caller, mode, length, &hash).await? / 1e6);
                }
            }
            Result::Ok(())
        })?;
        let [_, bare, ours] = all;
        section.push(Figure::new(name, BARE, "MB/s", &bare));
        let figure = Figure::new(name, VALETKEY, "MB/s", &ours).with_reference(BARE, &ours.ratio_to(&bare));
        section.push(figure.with_goal(Goal::AtLeast(0.8)));
    }
    Ok(())
}

async fn bytes_per_second(
    caller: &SigningCaller,
    mode: Option<UploadMode>,
    length: u64,
    hash: &str,
) -> Result<f64> {
    let request = match mode {
        Some(mode) => caller.upload(length, mode, hash)?,
        None => caller.download(length)?,
    };
    let expected = expected_length(&request);
    let mut connection = ClientConnection::open(caller.address).await?;
    let (duration, last, received) = connection.exchange(request).await?;
    let transferred = match mode {
        Some(_) => String::from_utf8(last.unwrap_or_default().to_vec())?.parse()?,
        None => received,
    };
    if transferred != expected.unwrap_or(length) {
        return Err(format!("{transferred} of {length} bytes arrived").into());
    }
    Ok(length as f64 / duration.as_secs_f64())
}

/// Returns the length of the request's body, if it has one. Signed chunks are longer than their data.
fn expected_length(request: &Request<SentBody>) -> Option<u64> {
    hyper::body::Body::size_hint(request.body()).exact().filter(|length| *length > 0)
}

fn hash_of_large(length: u64) -> String {
    let (frame, mut context) = (large_frame(), Context::new(&SHA256));
    for _ in 0..length / FRAME as u64 {
        context.update(&frame);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
