//! Lists of the sessions of a principal, and the values beside them.

use super::*;

fn labelled_registry(clock: &ManualClock) -> SessionRegistry<&'static str> {
    SessionRegistry::builder().clock(Arc::new(clock.clone())).build_with()
}

fn open(
    registry: &SessionRegistry<&'static str>,
    clock: &ManualClock,
    name: &str,
    label: &'static str,
) -> SessionHandle {
    registry.open_with(principal(name), builder(clock), |_| label).unwrap().handle()
}

#[test]
fn registry_list_has_only_open_sessions_of_principal() {
    let clock = ManualClock::new();
    let registry = labelled_registry(&clock);
    let (one, other) = (open(&registry, &clock, "ana", "one"), open(&registry, &clock, "ana", "other"));
    open(&registry, &clock, "ben", "third");
    let mut listed = registry.list(&principal("ana"));
    listed.sort_by_key(|(_, label)| *label);
    assert_eq!(listed, [(one, "one"), (other, "other")]);
    registry.close(&principal("ana"), &one);
    assert_eq!(registry.list(&principal("ana")), [(other, "other")]);
    registry.find(&principal("ana"), &other).unwrap().close();
    assert_eq!(registry.list(&principal("ana")), [], "closed directly, and not swept yet");
}

#[test]
fn registry_list_does_not_count_as_use() {
    let clock = ManualClock::new();
    let registry = labelled_registry(&clock);
    let idle = open(&registry, &clock, "ana", "idle");
    let in_use = registry.open_with(principal("ana"), builder(&clock), |_| "in use").unwrap();
    clock.advance(IDLE / 2);
    assert_eq!(registry.list(&principal("ana")).len(), 2);
    clock.advance(IDLE / 2);
    assert_eq!(registry.list(&principal("ana")), [(in_use.handle(), "in use")]);
    assert!(registry.find(&principal("ana"), &idle).is_err());
    clock.advance(LIFETIME);
    assert_eq!(registry.list(&principal("ana")), [], "the lifetime of a session in use ends, too");
}

#[test]
fn registry_drain_closes_all_and_returns_values() {
    let clock = ManualClock::new();
    let registry = labelled_registry(&clock);
    let in_use = registry.open_with(principal("ana"), builder(&clock), |_| "one").unwrap();
    open(&registry, &clock, "ben", "other");
    let mut values = registry.drain();
    values.sort_unstable();
    assert_eq!(values, ["one", "other"]);
    assert!(in_use.is_closed() && registry.is_empty());
    assert!(registry.drain().is_empty());
    let reopened = open(&registry, &clock, "ben", "later");
    assert_eq!(registry.list(&principal("ben")), [(reopened, "later")]);
}
