//! The memory of requests in progress, in the program with a counting allocator.

use std::alloc::System;
use std::time::Duration;

use stats_alloc::{Region, StatsAlloc};
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::connection::ClientConnection;
use super::fixture::{ProxyFixture, WAYS};
use crate::Result;

/// The requests in progress. The kernel buffers some megabytes of each, so there are few.
const REQUESTS: usize = 32;
/// More than all buffers on a way hold.
const BODY: u64 = 64 * 1024 * 1024;
/// The time in which the buffers fill.
const FILL_TIME: Duration = Duration::from_millis(1_500);

/// Returns the bytes that one request in progress keeps allocated in client, proxy and upstream. A download is one whose
/// client reads nothing of the body; an upload is one whose service reads nothing.
pub(crate) fn measure_in_progress(allocator: &StatsAlloc<System>, way: &str, is_upload: bool) -> Result<f64> {
    let way = WAYS.iter().position(|name| *name == way).ok_or("there is no such way")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let fixture = ProxyFixture::start().await?;
        let caller = &fixture.callers[way];
        let mut first = ClientConnection::open(caller.address).await?;
        // The tables of the proxy are parsed at the first request.
        first.exchange(caller.download(0)?).await?;
        let (mut held, mut waiting) = (Vec::new(), Vec::new());
        let region = Region::new(allocator);
        for _ in 0..REQUESTS {
            let mut connection = ClientConnection::open(caller.address).await?;
            if is_upload {
                let request = caller.unread_upload(BODY)?;
                waiting.push(tokio::spawn(async move { connection.send(request).await.is_ok() }));
            } else {
                let response = connection.send(caller.download(BODY)?).await?;
                held.push((connection, response));
            }
        }
        sleep(FILL_TIME).await;
        let change = region.change();
        if waiting.iter().any(|upload| upload.is_finished()) {
            return Err("an upload ended".into());
        }
        let live = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
        Ok(live / REQUESTS as f64)
    })
}
