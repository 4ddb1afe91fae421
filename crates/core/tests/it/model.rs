//! Families of sessions under arbitrary operations, against a model of what each may serve and may ask upstream.
//!
//! The model knows every rule; what it cannot know is what a session drew for itself: its jitter, and the length of a
//! hold. Between the shortest and the longest of these it lets the session do either, and follows what it did. Beyond
//! them it insists.

mod account;
mod fixture;
mod sessions;
mod source;

use proptest::prelude::*;

use fixture::ModelFixture;
use source::UpstreamBehavior;

/// The accounts that operations name; the first is the default one.
const ACCOUNT_NAMES: [&str; 3] = ["default", "a", "b"];

/// An operation on a session. Sessions and sources are named by any number, taken modulo how many there are; accounts
/// by their place among the aliases. `FetchAtInstants` sets the behavior of an account's source, and fetches at one
/// instant after the other; `ChangeDuringFetch` begins a fetch, and makes the change before upstream responds;
/// `CheckVisibleState` compares all that can be seen without a fetch.
#[derive(Debug, Clone)]
enum Operation {
    Open,
    Child { parent: usize, overlay: ChildOverride },
    Fetch(usize, usize),
    FetchAtInstants(usize, usize, UpstreamBehavior, Vec<Instant>),
    ChangeDuringFetch(usize, usize, Change),
    Refresh(usize, usize),
    CheckVisibleState(usize),
    SetUpstream { source: usize, upstream: UpstreamBehavior },
    Change(usize, Change),
}

#[derive(Debug, Clone)]
enum ChildOverride {
    Credentials { minutes: u64 },
    Provider,
}

/// A change that calls no provider. A provider that is `derived` works with the session's default account. A service
/// may reject the `current` credentials, or others.
#[derive(Debug, Clone)]
enum Change {
    Set { alias: usize, minutes: u64 },
    Provider { alias: usize, derived: bool },
    Reject { alias: usize, current: bool },
    Clear,
    Close,
    Drop,
    Advance { seconds: u64 },
    AdvanceTo { alias: usize, instant: Instant },
    Rewind { seconds: u64 },
}

/// One of the instants ahead that the rules name for an account: the tick before it, itself, or the tick after.
#[derive(Debug, Clone, Copy)]
struct Instant {
    edge: usize,
    tick: i64,
}

fn upstream() -> impl Strategy<Value = UpstreamBehavior> {
    prop_oneof![
        6 => (1..200_u64).prop_map(|minutes| UpstreamBehavior::Issues { minutes }),
        1 => Just(UpstreamBehavior::IssuesUnexpiring),
        1 => Just(UpstreamBehavior::IssuesExpired),
        4 => Just(UpstreamBehavior::Fails(valetkey_core::ErrorKind::Unavailable)),
        1 => Just(UpstreamBehavior::Fails(valetkey_core::ErrorKind::Internal)),
        2 => Just(UpstreamBehavior::Fails(valetkey_core::ErrorKind::Denied)),
        2 => Just(UpstreamBehavior::Fails(valetkey_core::ErrorKind::InteractionRequired)),
    ]
}

fn instant() -> impl Strategy<Value = Instant> {
    (0..8_usize, -1..=1_i64).prop_map(|(edge, tick)| Instant { edge, tick })
}

fn change() -> impl Strategy<Value = Change> {
    let alias = || 0..ACCOUNT_NAMES.len();
    prop_oneof![
        3 => (alias(), 1..200_u64).prop_map(|(alias, minutes)| Change::Set { alias, minutes }),
        4 => (alias(), any::<bool>()).prop_map(|(alias, derived)| Change::Provider { alias, derived }),
        2 => (alias(), any::<bool>()).prop_map(|(alias, current)| Change::Reject { alias, current }),
        2 => Just(Change::Clear),
        1 => Just(Change::Close),
        1 => Just(Change::Drop),
        4 => (alias(), instant()).prop_map(|(alias, instant)| Change::AdvanceTo { alias, instant }),
        // Seconds, as holds last; minutes, as windows do; hours, past everything.
        8 => prop_oneof![1..12_u64, 60..700_u64, 600..7_200_u64].prop_map(|seconds| Change::Advance { seconds }),
        2 => prop_oneof![1..12_u64, 60..3_600_u64].prop_map(|seconds| Change::Rewind { seconds }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let (member, alias) = (any::<usize>, || 0..ACCOUNT_NAMES.len());
    prop_oneof![
        1 => Just(Operation::Open),
        2 => (member(), (1..200_u64)).prop_map(|(parent, minutes)| {
            Operation::Child { parent, overlay: ChildOverride::Credentials { minutes } }
        }),
        2 => member().prop_map(|parent| Operation::Child { parent, overlay: ChildOverride::Provider }),
        24 => (member(), alias()).prop_map(|(member, alias)| Operation::Fetch(member, alias)),
        16 => (member(), alias(), upstream(), prop::collection::vec(instant(), 1..6))
            .prop_map(|(member, alias, upstream, at)| Operation::FetchAtInstants(member, alias, upstream, at)),
        16 => (member(), alias(), change())
            .prop_map(|(member, alias, change)| Operation::ChangeDuringFetch(member, alias, change)),
        2 => (member(), alias()).prop_map(|(member, alias)| Operation::Refresh(member, alias)),
        2 => member().prop_map(Operation::CheckVisibleState),
        6 => (member(), upstream()).prop_map(|(source, upstream)| Operation::SetUpstream { source, upstream }),
        16 => (member(), change()).prop_map(|(member, change)| Operation::Change(member, change)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn session_tree_random_operations_match_model(
        operations in prop::collection::vec(operation(), 1..120)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let mut fixture = ModelFixture::new();
        for operation in operations {
            fixture.apply(operation);
        }
        fixture.check_all();
    }
}
