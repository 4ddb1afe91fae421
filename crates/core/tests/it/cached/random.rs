//! Any course of asking, waiting, failing and forgetting, against a model that says when a lookup is due.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use valetkey_core::testing::ManualClock;
use valetkey_core::{
    CachedResolver, CredentialId, CredentialResolver, Credentials, Error, ErrorKind, Result,
};

use crate::bench::*;

#[derive(Debug, Clone)]
enum Step {
    Ask(u8),
    Advance(Duration),
    JumpBack,
    Forget,
}

/// What the next lookup finds.
#[derive(Debug, Clone, Copy)]
enum Finds {
    Set(Duration),
    Refusal,
    Outage,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8).prop_map(Step::Ask),
        4 => prop_oneof![0..2_000_u64, 2_000..400_000_u64].prop_map(|ms| Step::Advance(Duration::from_millis(ms))),
        1 => Just(Step::JumpBack),
        1 => Just(Step::Forget),
    ]
}

fn finds() -> impl Strategy<Value = Finds> {
    prop_oneof![
        3 => (0..900_u64).prop_map(|seconds| Finds::Set(Duration::from_secs(seconds))),
        1 => Just(Finds::Refusal),
        1 => Just(Finds::Outage),
    ]
}

/// What was learnt about an id: how long ago, and until what age it must be kept and may be kept.
#[derive(Debug, Clone, Copy)]
struct Learnt {
    age: Duration,
    must: Duration,
    may: Duration,
}

impl Learnt {
    fn from(finds: Finds) -> Self {
        let (must, may) = match finds {
            Finds::Set(lifetime) => {
                let kept = lifetime.saturating_sub(MINUTE).min(5 * MINUTE);
                (kept, kept)
            }
            Finds::Refusal => (SECOND, 5 * SECOND),
            Finds::Outage => (Duration::ZERO, Duration::ZERO),
        };
        Self { age: Duration::ZERO, must, may }
    }
}

/// Answers with what is found now, and counts.
#[derive(Debug, Clone, Default)]
struct Source(Arc<Mutex<(usize, Option<Result<Credentials>>)>>);

#[async_trait]
impl CredentialResolver for Source {
    fn name(&self) -> Cow<'static, str> {
        "source".into()
    }

    async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
        let mut now = self.0.lock().unwrap();
        now.0 += 1;
        now.1.clone().unwrap()
    }
}

struct Course {
    clock: ManualClock,
    source: Source,
    resolver: CachedResolver,
    model: BTreeMap<u8, (Learnt, Result<u64, ErrorKind>)>,
}

impl Course {
    fn new() -> Self {
        let (clock, source) = (ManualClock::new(), Source::default());
        let resolver = CachedResolver::new(source.clone()).clock(Arc::new(clock.clone()));
        Self { clock, source, resolver, model: BTreeMap::new() }
    }

    async fn take(&mut self, step: Step, number: u64, finds: Finds) {
        match step {
            Step::Advance(by) => {
                self.clock.advance(by);
                self.model.values_mut().for_each(|(learnt, _)| learnt.age += by);
            }
            Step::JumpBack => {
                // Further than any course goes: all that was learnt before is from the future now.
                self.clock.jump_back(1_000 * HOUR);
                self.model.clear();
            }
            Step::Forget => {
                self.resolver.forget();
                self.model.clear();
            }
            Step::Ask(name) => self.ask(name, number, finds).await,
        }
    }

    async fn ask(&mut self, name: u8, number: u64, finds: Finds) {
        let found = match finds {
            Finds::Set(lifetime) => Ok(lasting(&self.clock, number, lifetime)),
            Finds::Refusal => Err(Error::new(ErrorKind::Denied, "no")),
            Finds::Outage => Err(Error::new(ErrorKind::Unavailable, "down")),
        };
        *self.source.0.lock().unwrap() = (0, Some(found));
        let id = format!("id-{name}").parse().unwrap();
        let answer =
            self.resolver.resolve(&id).await.map(|it| crate::bench::number(&it)).map_err(|it| it.kind());
        let asked = self.source.0.lock().unwrap().0 > 0;
        match self.model.get(&name) {
            Some((learnt, _)) if asked => assert!(learnt.age >= learnt.must, "it was kept: {learnt:?}"),
            None if !asked => panic!("nothing was known"),
            Some((learnt, expected)) if !asked => {
                assert!(learnt.age < learnt.may, "it was due: {learnt:?}");
                assert_eq!(answer, *expected);
            }
            _ => {}
        }
        if asked {
            self.model.insert(name, (Learnt::from(finds), answer));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lookup_is_made_when_one_is_due_and_only_then(course in prop::collection::vec((step(), finds()), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut played = Course::new();
            for (number, (step, finds)) in (0..).zip(course) {
                played.take(step, number, finds).await;
            }
        });
    }
}
