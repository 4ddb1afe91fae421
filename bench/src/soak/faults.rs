//! Faults of a soak, one after another. The first gateway is never killed, so that its memory can be compared.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::fleet::SoakFleet;
use super::tally::{Count, Tally};
use crate::Result;

/// How long the store is lost.
const OUTAGE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
enum Fault {
    NodeKilled(usize),
    StoreKilled,
    StorePaused,
}

const FAULTS: [Fault; 4] =
    [Fault::NodeKilled(1), Fault::StoreKilled, Fault::NodeKilled(2), Fault::StorePaused];

/// Causes a fault at each interval, until shortly before the deadline.
pub(super) async fn run(
    fleet: &SoakFleet,
    interval: Duration,
    deadline: Instant,
    tally: &Tally,
) -> Result<()> {
    let began = Instant::now();
    for fault in FAULTS.into_iter().cycle() {
        if Instant::now() + interval + OUTAGE * 2 > deadline {
            break;
        }
        sleep(interval).await;
        println!("{:>5} s  {fault:?}; memory: {}", began.elapsed().as_secs(), fleet.memory().await?);
        tally.add(Count::Faults);
        match fault {
            Fault::NodeKilled(index) => fleet.replace_node(index).await?,
            Fault::StoreKilled => {
                let mut redis = fleet.redis().lock().await;
                redis.kill().await?;
                sleep(OUTAGE).await;
                redis.restart().await?;
            }
            Fault::StorePaused => {
                let redis = fleet.redis().lock().await;
                redis.pause().await?;
                sleep(OUTAGE).await;
                redis.resume().await?;
            }
        }
    }
    Ok(())
}
