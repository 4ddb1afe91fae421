//! Memory: the size of a session when many are open, and the share that is released when they are closed. Each
//! measure runs in a separate process.

use std::alloc::System;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use stats_alloc::StatsAlloc;
use tokio::runtime::Builder;
use valetkey_core::{Expiry, SessionContext, SessionRegistry};

use crate::Result;
use crate::competitors::sdk::{CachedIdentity, SdkClient};
use crate::competitors::valetkey::payload_credentials;
use crate::competitors::{moka, registry, registry_key};
use crate::env::BenchEnv;
use crate::fake_source::{LIFETIME, Script, Upstream};
use crate::goal::Goal;
use crate::payload::Payload;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;

const SESSIONS: &str = "valetkey";
const REGISTRY: &str = "valetkey, in a registry";
const HOLDER_NAMES: [&str; 5] = [SESSIONS, REGISTRY, "DashMap of Arc", "moka", "AWS SDK identity cache each"];
pub(crate) const SESSION_COUNTS: [u64; 3] = [1_000, 10_000, 100_000];
/// Without caches of each thread, because one cached block keeps all free memory below it; and with a fixed threshold.
const MALLOC_TUNABLES: &str = "glibc.malloc.tcache_count=0:glibc.malloc.trim_threshold=131072";
const METHOD: &str = "A separate process opens the sessions, each with credentials of 496 bytes, then closes all. \
    Resident memory is anonymous memory as reported by the kernel; live memory is what a counting allocator has \
    allocated and not freed. Memory given back is what the system's allocator returns without an explicit trim after \
    a block of 100 KiB was freed, with the caches of its threads disabled.";

/// Before, with all sessions, and after closing them.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct MemorySample {
    resident: [f64; 3],
    live: [f64; 3],
    open_seconds: f64,
}

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let mut section = Section::new("Memory for each session", METHOD).into_matrix();
    for holder in HOLDER_NAMES {
        let mut at_least_many: Option<Rounds> = None;
        for count in SESSION_COUNTS {
            let samples: Vec<MemorySample> = (0..env.profile.herd_rounds)
                .map(|_| measure_in_subprocess(holder, count))
                .collect::<Result<_>>()?;
            let each = |pick: fn(&MemorySample) -> [f64; 3]| -> Rounds {
                samples.iter().map(|one| (pick(one)[1] - pick(one)[0]) / count as f64).collect()
            };
            let resident = each(|one| one.resident);
            let first = at_least_many.get_or_insert_with(|| resident.clone()).clone();
            section.push(resident_figure(holder, count, &resident));
            section.push(Figure::new(live_name(count), holder, "B", &each(|one| one.live)));
            if count == SESSION_COUNTS[2] {
                push_given_back(&mut section, holder, &samples);
                let growth = resident.ratio_to(&first);
                let figure = Figure::new("memory: growth", holder, "×", &growth)
                    .with_reference("1,000 sessions", &growth);
                section.push(if holder == SESSIONS { figure.with_goal(Goal::AtMost(1.1)) } else { figure });
            }
        }
    }
    Ok(vec![section])
}

/// The name of the measure of resident memory.
pub(crate) fn resident_name(count: u64) -> String {
    format!("memory: resident, {}k", count / 1_000)
}

fn live_name(count: u64) -> String {
    format!("memory: live, {}k", count / 1_000)
}

fn resident_figure(holder: &str, count: u64, resident: &Rounds) -> Figure {
    let figure = Figure::new(resident_name(count), holder, "B", resident);
    match holder {
        SESSIONS => figure.with_goal(Goal::AtMost(1536.0)),
        REGISTRY => figure.with_goal(Goal::AtMost(2560.0)),
        _ => figure,
    }
}

fn push_given_back(section: &mut Section, holder: &str, samples: &[MemorySample]) {
    let share = |pick: fn(&MemorySample) -> [f64; 3]| -> Rounds {
        let share = |[before, full, after]: [f64; 3]| 100.0 * (full - after) / (full - before);
        samples.iter().map(|one| share(pick(one))).collect()
    };
    let resident = Figure::new("memory: resident given back", holder, "%", &share(|one| one.resident));
    let live = Figure::new("memory: live given back", holder, "%", &share(|one| one.live));
    let goal = |figure: Figure, least| {
        if holder == SESSIONS { figure.with_goal(Goal::AtLeast(least)) } else { figure }
    };
    section.push(goal(resident, 90.0));
    section.push(goal(live, 99.0));
    let open: Rounds = samples.iter().map(|one| one.open_seconds * 1e9 / SESSION_COUNTS[2] as f64).collect();
    section.push(Figure::new("memory: time to fill", holder, "ns", &open));
}

fn measure_in_subprocess(holder: &str, count: u64) -> Result<MemorySample> {
    let (words, program) = (["memory", holder, &count.to_string()], super::sibling_program("counted")?);
    let output = Command::new(program).args(words).env("GLIBC_TUNABLES", MALLOC_TUNABLES).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Measures in the separate process.
pub(crate) fn measure_memory(
    allocator: &StatsAlloc<System>,
    holder: &str,
    count: u64,
) -> Result<MemorySample> {
    // One thread, so that the allocator uses one arena.
    let runtime = Builder::new_current_thread().enable_time().build()?;
    // Shared values are created before the measurement.
    let one = runtime.block_on(fill_holder(holder, 1))?;
    runtime.block_on(one.close());
    let mut scale = MemoryReader::new(allocator);
    scale.read(0)?;
    let start = Instant::now();
    let held = runtime.block_on(fill_holder(holder, count))?;
    let open_seconds = start.elapsed().as_secs_f64();
    scale.read(1)?;
    runtime.block_on(held.close());
    // glibc merges small blocks and releases free memory at the top of the heap when a large block is freed, which a
    // program does regularly.
    drop(black_box(vec![1_u8; 100 * 1024]));
    scale.read(2)?;
    Ok(MemorySample { resident: scale.resident, live: scale.live, open_seconds })
}

/// Reads without allocating: a new block would be at the top of the heap and keep all memory below it.
struct MemoryReader<'a> {
    allocator: &'a StatsAlloc<System>,
    resident: [f64; 3],
    live: [f64; 3],
    text: [u8; 4096],
}

impl<'a> MemoryReader<'a> {
    fn new(allocator: &'a StatsAlloc<System>) -> Self {
        Self { allocator, resident: [0.0; 3], live: [0.0; 3], text: [0; 4096] }
    }

    fn read(&mut self, index: usize) -> Result<()> {
        let stats = self.allocator.stats();
        self.live[index] = stats.bytes_allocated as f64 - stats.bytes_deallocated as f64;
        self.resident[index] = self.read_resident()?;
        Ok(())
    }

    /// Returns resident anonymous memory. The fallback `statm` includes the program's code and may lag.
    fn read_resident(&mut self) -> Result<f64> {
        let rollup = self.read_first_number("/proc/self/smaps_rollup", "Anonymous:");
        if let Some(kibibytes) = rollup {
            return Ok(kibibytes * 1024.0);
        }
        let pages =
            self.read_first_number("/proc/self/statm", " ").ok_or("the kernel reports no resident memory")?;
        Ok(pages * 4096.0)
    }

    /// Returns the first number after a mark.
    fn read_first_number(&mut self, path: &str, mark: &str) -> Option<f64> {
        let read = File::open(path).ok()?.read(&mut self.text).ok()?;
        let text = str::from_utf8(&self.text[..read]).ok()?;
        let (_, rest) = text.split_once(mark)?;
        rest.split_whitespace().next()?.parse().ok()
    }
}

/// The values in memory.
enum HeldSessions {
    Sessions(Vec<SessionContext>),
    Registry(SessionRegistry),
    Map(DashMap<String, Arc<Payload>>),
    Moka(::moka::future::Cache<String, Arc<Payload>>),
    Sdk(Vec<CachedIdentity>),
}

async fn fill_holder(holder: &str, count: u64) -> Result<HeldSessions> {
    let payload = |number| Arc::new(Payload::with_number(number));
    match holder {
        SESSIONS => {
            (0..count).map(session_with_credentials).collect::<Result<_>>().map(HeldSessions::Sessions)
        }
        REGISTRY => {
            let all = registry::build_registry(count)?;
            for number in 0..count {
                set_credentials(&registry::open_session(&all, number, SessionContext::builder())?, number)?;
            }
            Ok(HeldSessions::Registry(all))
        }
        "DashMap of Arc" => {
            Ok(HeldSessions::Map((0..count).map(|number| (registry_key(number), payload(number))).collect()))
        }
        "moka" => {
            let cache = moka::build_cache(LIFETIME);
            for number in 0..count {
                cache.insert(registry_key(number), payload(number)).await;
            }
            cache.run_pending_tasks().await;
            Ok(HeldSessions::Moka(cache))
        }
        _ => {
            let client = SdkClient::new()?;
            let mut held = Vec::new();
            for _ in 0..count {
                held.push(CachedIdentity::fetched(&client, Upstream::new(Script::WARM)).await?);
            }
            Ok(HeldSessions::Sdk(held))
        }
    }
}

fn session_with_credentials(number: u64) -> Result<SessionContext> {
    let session = SessionContext::builder().build();
    set_credentials(&session, number)?;
    Ok(session)
}

fn set_credentials(session: &SessionContext, number: u64) -> Result<()> {
    let expiry = Expiry::At(SystemTime::now() + LIFETIME);
    session.set_credentials(payload_credentials(&Payload::with_number(number), expiry)?)?;
    Ok(())
}

impl HeldSessions {
    async fn close(self) {
        match self {
            Self::Sessions(sessions) => sessions.iter().for_each(|session| drop(session.close())),
            Self::Registry(registry) => drop(registry),
            Self::Map(map) => map.clear(),
            Self::Moka(cache) => {
                cache.invalidate_all();
                cache.run_pending_tasks().await;
            }
            Self::Sdk(held) => drop(held),
        }
    }
}
