//! `RedactorState`: the secrets that a redactor knows, and their expiry.
//!
//! A secret is identified by its digest, so that the same credentials from several sources count once. Of expired
//! credentials, the latest 32 are retained: a program may still print them, and the rest would let the state grow
//! without limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use valetkey_core::Expiry;

use super::index::PatternIndex;
use super::pattern::Pattern;

/// Identifies secrets without storing them.
pub(super) type Digest = [u8; 32];

/// The number of expired credentials to retain, latest first. Expiry is checked after this number of additions.
pub(super) const RETAINED_EXPIRED: usize = 32;
/// The limit on known credentials. Beyond it every text is masked.
pub(super) const MAX_SECRETS: usize = 16 * 1024;

/// The secrets, and the index that finds them.
///
/// Invariant: the index has every pattern of `secrets` and `grants`, and after a removal no other. A search uses the
/// index that it started with, so a change never waits for a search.
#[derive(Default)]
pub(super) struct RedactorState {
    secrets: HashMap<Digest, KnownSecret>,
    /// The patterns of grants, until the grant is revoked.
    grants: HashMap<Uuid, Vec<Pattern>>,
    index: Arc<PatternIndex>,
    /// Additions since the last check for expired secrets.
    added_since_expiry_check: usize,
}

struct KnownSecret {
    valid_until: Expiry,
    patterns: Vec<Pattern>,
}

impl RedactorState {
    pub(super) fn index(&self) -> Arc<PatternIndex> {
        Arc::clone(&self.index)
    }

    /// Extends the validity of a known secret to at least `valid_until`. Returns whether the secret is known.
    pub(super) fn extend_validity(&mut self, digest: &Digest, valid_until: Expiry) -> bool {
        let Some(secret) = self.secrets.get_mut(digest) else { return false };
        secret.valid_until = secret.valid_until.max(valid_until);
        true
    }

    /// Adds a secret with its patterns. At the limit the secret is not added, and every text is masked from then on.
    pub(super) fn insert(&mut self, digest: Digest, valid_until: Expiry, patterns: Vec<Pattern>) {
        let index = Arc::make_mut(&mut self.index);
        if self.secrets.len() == MAX_SECRETS && !self.secrets.contains_key(&digest) {
            index.set_overflowed();
            return;
        }
        patterns.iter().for_each(|pattern| index.insert(pattern));
        self.secrets.insert(digest, KnownSecret { valid_until, patterns });
    }

    pub(super) fn insert_grant(&mut self, id: Uuid, patterns: Vec<Pattern>) {
        let index = Arc::make_mut(&mut self.index);
        patterns.iter().for_each(|pattern| index.insert(pattern));
        self.grants.insert(id, patterns);
    }

    pub(super) fn remove_grant(&mut self, id: Uuid) {
        if self.grants.remove(&id).is_some() {
            self.rebuild_index();
        }
    }

    /// Removes the secrets that expired first. Done only at intervals, because it rebuilds the index.
    pub(super) fn remove_expired(&mut self, now: SystemTime) {
        self.added_since_expiry_check += 1;
        if self.added_since_expiry_check < RETAINED_EXPIRED {
            return;
        }
        self.added_since_expiry_check = 0;
        let expired = self.secrets.iter().filter(|(_, secret)| secret.valid_until.has_passed(now));
        let mut expired: Vec<_> = expired.map(|(digest, secret)| (secret.valid_until, *digest)).collect();
        expired.sort_unstable();
        expired.truncate(expired.len().saturating_sub(RETAINED_EXPIRED));
        expired.iter().for_each(|(_, digest)| drop(self.secrets.remove(digest)));
        if !expired.is_empty() {
            self.rebuild_index();
        }
    }

    /// Builds the index anew. Patterns cannot be removed from an index, because several secrets may share an entry.
    fn rebuild_index(&mut self) {
        let mut index = PatternIndex::default();
        if self.index.is_overflowed() {
            index.set_overflowed();
        }
        let secrets = self.secrets.values().map(|secret| &secret.patterns);
        secrets.chain(self.grants.values()).flatten().for_each(|pattern| index.insert(pattern));
        self.index = Arc::new(index);
    }
}

/// Returns the digest of a list of secrets. Each is followed by a zero byte, so that their borders affect the digest.
pub(super) fn digest_secrets<const N: usize>(secrets: [&str; N]) -> Digest {
    let all = secrets.iter().fold(Sha256::new(), |all, secret| all.chain_update(secret).chain_update([0]));
    all.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    #[test]
    fn redactor_state_beyond_max_secrets_masks_every_text() {
        let mut state = RedactorState::default();
        for n in 0..MAX_SECRETS {
            state.insert(digest_secrets([&n.to_string()]), Expiry::Never, Vec::new());
        }
        assert!(state.index().find_secrets("a text").is_empty());
        state.insert(digest_secrets(["0"]), Expiry::Never, Vec::new());
        assert!(state.index().find_secrets("a text").is_empty(), "that one was known");
        state.insert(digest_secrets(["one more"]), Expiry::Never, Vec::new());
        assert_eq!(state.index().find_secrets("a text"), vec![Range { start: 0, end: 6 }]);
        assert!(state.index().find_secrets("").is_empty());
        state.insert_grant(Uuid::nil(), Vec::new());
        state.remove_grant(Uuid::nil());
        assert_eq!(
            state.index().find_secrets("a text"),
            vec![Range { start: 0, end: 6 }],
            "also after the index was made anew"
        );
    }
}
