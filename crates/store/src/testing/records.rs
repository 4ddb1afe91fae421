//! Clauses on records: creating, saving, closing, ending.

use tokio::time::{Instant, sleep};

use super::{ENDS_WITHIN, LASTING, LONG, POLL_INTERVAL, SHORT, Subject, Verdict, collect, describe, require};
use crate::{
    Change, ClientHandle, MAX_CONTENTS, RecordGeneration, RecordId, RecordLifetime, RecordVersion,
    SessionStore, StoreError,
};

pub(super) async fn faults(store: &dyn SessionStore) -> Vec<String> {
    collect([
        check_create(store).await,
        check_save(store).await,
        check_restored_generation(store).await,
        check_close(store).await,
        check_unknown(store).await,
        check_largest(store).await,
        check_versions(store).await,
        check_ends(store, RecordLifetime { idle: SHORT, total: LONG }).await,
        check_ends(store, RecordLifetime { idle: LONG, total: SHORT }).await,
        check_touch(store).await,
    ])
}

async fn check_create(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let first = store.load(subject.id()).await.map_err(describe)?;
    let contents = subject.ring.open(&subject.handle, &subject.owner, &first).map_err(describe)?;
    require(&**contents == b"first", "clause 1: `load` returns what `create` stored")?;
    let other = store.create(subject.id(), &subject.seal(1, "other")?, LASTING).await;
    require(other == Err(StoreError::Exists), "clause 2: `create` replaces no record")?;
    let repeated = store.create(subject.id(), &first, LASTING).await;
    require(repeated == Ok(()), "clause 3: a repeated `create` succeeds")
}

async fn check_save(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let (second, stale) = (subject.seal(2, "second")?, subject.seal(2, "stale")?);
    let save =
        async |record| store.save(subject.id(), RecordGeneration::FIRST, record, Change::Rotated).await;
    save(&second).await.map_err(describe)?;
    let superseded = Err(StoreError::Superseded { current: second.generation() });
    let stale = save(&stale).await;
    require(stale == superseded, "clause 2: `save` changes only the generation that it expects")?;
    require(save(&second).await == Ok(()), "clause 3: a repeated `save` succeeds")?;
    let same =
        store.save(subject.id(), second.generation(), &subject.seal(2, "same")?, Change::Rotated).await;
    require(same == superseded, "clause 2: a saved record has a later generation")?;
    let loaded = store.load(subject.id()).await.map_err(describe)?;
    require(loaded == second, "clause 1: `load` returns the saved record")
}

async fn check_restored_generation(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let later = subject.seal(7, "later")?;
    let saved = store.save(subject.id(), RecordGeneration::FIRST, &later, Change::Cleared).await;
    require(saved == Ok(()), "a generation may be skipped")
}

async fn check_close(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let first = store.load(subject.id()).await.map_err(describe)?;
    store.close(subject.id()).await.map_err(describe)?;
    require(has_ended(store, subject.id()).await?, "clause 2: a closed record is not loaded")?;
    let created = store.create(subject.id(), &first, LASTING).await;
    require(created == Err(StoreError::Exists), "clause 2: a delayed `create` brings no record back")?;
    let saved =
        store.save(subject.id(), first.generation(), &subject.seal(2, "late")?, Change::Rotated).await;
    require(saved == Err(StoreError::NoSession), "clause 2: a delayed `save` brings no record back")?;
    let touched = store.touch(subject.id()).await;
    require(touched == Err(StoreError::NoSession), "clause 2: `touch` brings no record back")?;
    require(store.close(subject.id()).await == Ok(()), "a closed record may be closed again")
}

async fn check_unknown(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::new()?;
    let second = subject.seal(2, "second")?;
    let saved = store.save(subject.id(), RecordGeneration::FIRST, &second, Change::Rotated).await;
    require(saved == Err(StoreError::NoSession), "clause 2: `save` creates no record")?;
    require(has_ended(store, subject.id()).await?, "an unknown id is no session")?;
    store.close(subject.id()).await.map_err(describe)?;
    let created = store.create(subject.id(), &subject.seal(1, "first")?, LASTING).await;
    require(created == Err(StoreError::Exists), "clause 2: a `create` after the `close` of its id is refused")
}

async fn check_largest(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::new()?;
    let largest = subject.seal(1, &"x".repeat(MAX_CONTENTS))?;
    store.create(subject.id(), &largest, LASTING).await.map_err(describe)?;
    let loaded = store.load(subject.id()).await.map_err(describe)?;
    require(loaded == largest, "a record of the largest size is stored")
}

async fn check_versions(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, LASTING).await?;
    let closed = Subject::created(store, LASTING).await?;
    store.close(closed.id()).await.map_err(describe)?;
    let unknown = ClientHandle::random().map_err(describe)?.id();
    let ids = [unknown, subject.id(), closed.id()];
    let first = RecordVersion { generation: RecordGeneration::FIRST, cleared: None };
    let versions = store.versions(&ids).await.map_err(describe)?;
    require(versions == [None, Some(first), None], "`versions` returns one item for each id, in order")?;
    require(store.versions(&[]).await == Ok(Vec::new()), "`versions` of no id returns nothing")?;

    let (cleared, rotated) = (subject.seal(2, "cleared")?, subject.seal(3, "rotated")?);
    store.save(subject.id(), first.generation, &cleared, Change::Cleared).await.map_err(describe)?;
    store.save(subject.id(), cleared.generation(), &rotated, Change::Rotated).await.map_err(describe)?;
    let expected = RecordVersion { generation: rotated.generation(), cleared: Some(cleared.generation()) };
    let versions = store.versions(&[subject.id()]).await.map_err(describe)?;
    require(versions == [Some(expected)], "`versions` has the generation of the last clear")
}

async fn check_ends(store: &dyn SessionStore, lifetime: RecordLifetime) -> Verdict {
    let subject = Subject::created(store, lifetime).await?;
    let deadline = Instant::now() + ENDS_WITHIN;
    while Instant::now() < deadline {
        if has_ended(store, subject.id()).await? {
            return Ok(());
        }
        sleep(POLL_INTERVAL).await;
    }
    Err("clause 4: a record ends after its idle time, and at the end of its lifetime".to_owned())
}

/// Touches a record of a short lifetime until it ends: its end by lifetime does not move.
async fn check_touch(store: &dyn SessionStore) -> Verdict {
    let subject = Subject::created(store, RecordLifetime { idle: LONG, total: SHORT }).await?;
    let deadline = Instant::now() + ENDS_WITHIN;
    while Instant::now() < deadline {
        match store.touch(subject.id()).await {
            Ok(()) => sleep(POLL_INTERVAL).await,
            Err(StoreError::NoSession) => return Ok(()),
            Err(error) => return Err(describe(error)),
        }
    }
    Err("clause 4: `touch` does not move the end of a lifetime".to_owned())
}

async fn has_ended(store: &dyn SessionStore, id: RecordId) -> Result<bool, String> {
    match store.load(id).await {
        Ok(_) => Ok(false),
        Err(StoreError::NoSession) => Ok(true),
        Err(error) => Err(describe(error)),
    }
}
