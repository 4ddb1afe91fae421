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

use crate::session_fixture::*;

#[derive(Debug, Clone)]
enum CourseStep {
    Resolve(u8),
    Advance(Duration),
    Rewind,
    ClearCache,
}

/// What the next lookup finds.
#[derive(Debug, Clone, Copy)]
enum ResolverResult {
    Credentials(Duration),
    Denied,
    Unavailable,
}

fn course_step() -> impl Strategy<Value = CourseStep> {
    prop_oneof![
        8 => (0..3_u8).prop_map(CourseStep::Resolve),
        4 => prop_oneof![0..2_000_u64, 2_000..400_000_u64].prop_map(|ms| CourseStep::Advance(Duration::from_millis(ms))),
        1 => Just(CourseStep::Rewind),
        1 => Just(CourseStep::ClearCache),
    ]
}

fn resolver_result() -> impl Strategy<Value = ResolverResult> {
    prop_oneof![
        3 => (0..900_u64).prop_map(|seconds| ResolverResult::Credentials(Duration::from_secs(seconds))),
        1 => Just(ResolverResult::Denied),
        1 => Just(ResolverResult::Unavailable),
    ]
}

/// What was learnt about an id: how long ago, and until what age it must be kept and may be kept.
#[derive(Debug, Clone, Copy)]
struct ModelEntry {
    age: Duration,
    min_age: Duration,
    max_age: Duration,
}

impl ModelEntry {
    fn from_result(finds: ResolverResult) -> Self {
        let (min_age, max_age) = match finds {
            ResolverResult::Credentials(lifetime) => {
                let kept = lifetime.saturating_sub(MINUTE).min(5 * MINUTE);
                (kept, kept)
            }
            ResolverResult::Denied => (SECOND, 5 * SECOND),
            ResolverResult::Unavailable => (Duration::ZERO, Duration::ZERO),
        };
        Self { age: Duration::ZERO, min_age, max_age }
    }
}

/// Resolves every id to the current result, and counts the calls.
#[derive(Debug, Clone, Default)]
struct FixedResolver(Arc<Mutex<(usize, Option<Result<Credentials>>)>>);

#[async_trait]
impl CredentialResolver for FixedResolver {
    fn name(&self) -> Cow<'static, str> {
        "source".into()
    }

    async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
        let mut now = self.0.lock().unwrap();
        now.0 += 1;
        now.1.clone().unwrap()
    }
}

struct CourseFixture {
    clock: ManualClock,
    source: FixedResolver,
    resolver: CachedResolver,
    model: BTreeMap<u8, (ModelEntry, Result<u64, ErrorKind>)>,
}

impl CourseFixture {
    fn new() -> Self {
        let (clock, source) = (ManualClock::new(), FixedResolver::default());
        let resolver = CachedResolver::new(source.clone()).clock(Arc::new(clock.clone()));
        Self { clock, source, resolver, model: BTreeMap::new() }
    }

    async fn apply(&mut self, step: CourseStep, number: u64, finds: ResolverResult) {
        match step {
            CourseStep::Advance(by) => {
                self.clock.advance(by);
                self.model.values_mut().for_each(|(learnt, _)| learnt.age += by);
            }
            CourseStep::Rewind => {
                // Further than any course goes: all that was learnt before is from the future now.
                self.clock.rewind(1_000 * HOUR);
                self.model.clear();
            }
            CourseStep::ClearCache => {
                self.resolver.clear_cache();
                self.model.clear();
            }
            CourseStep::Resolve(name) => self.resolve(name, number, finds).await,
        }
    }

    async fn resolve(&mut self, name: u8, number: u64, finds: ResolverResult) {
        let found = match finds {
            ResolverResult::Credentials(lifetime) => Ok(expiring(&self.clock, number, lifetime)),
            ResolverResult::Denied => Err(Error::new(ErrorKind::Denied, "no")),
            ResolverResult::Unavailable => Err(Error::new(ErrorKind::Unavailable, "down")),
        };
        *self.source.0.lock().unwrap() = (0, Some(found));
        let id = format!("id-{name}").parse().unwrap();
        let answer = self
            .resolver
            .resolve(&id)
            .await
            .map(|it| crate::session_fixture::number(&it))
            .map_err(|it| it.kind());
        let asked = self.source.0.lock().unwrap().0 > 0;
        match self.model.get(&name) {
            Some((learnt, _)) if asked => assert!(learnt.age >= learnt.min_age, "it was kept: {learnt:?}"),
            None if !asked => panic!("nothing was known"),
            Some((learnt, expected)) if !asked => {
                assert!(learnt.age < learnt.max_age, "it was due: {learnt:?}");
                assert_eq!(answer, *expected);
            }
            _ => {}
        }
        if asked {
            self.model.insert(name, (ModelEntry::from_result(finds), answer));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cached_resolver_random_course_matches_model(course in prop::collection::vec((course_step(), resolver_result()), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut played = CourseFixture::new();
            for (number, (step, finds)) in (0..).zip(course) {
                played.apply(step, number, finds).await;
            }
        });
    }
}
