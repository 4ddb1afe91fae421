//! `PrefixFilter`: a Bloom filter of the prefixes of secrets, so that most positions of a text are rejected with one lookup.
//!
//! It grows with the number of secrets, because every session has one.

/// The bits for each prefix: fewer than one of a hundred other prefixes is accepted.
const BITS_PER_PREFIX: usize = 128;
const MIN_BITS: usize = 1 << 10;
/// 8 KiB. With more prefixes than fit, more positions are looked up in the index.
const MAX_BITS: usize = 1 << 16;

/// Without a prefix, it has no bits and accepts none.
#[derive(Clone, Default)]
pub(super) struct PrefixFilter {
    /// Empty, or a power of two in length.
    words: Box<[u64]>,
}

impl PrefixFilter {
    /// Returns an empty filter that has room for twice as many prefixes.
    pub(super) fn with_room_for(prefixes: usize) -> Self {
        let bits = prefixes.saturating_mul(2 * BITS_PER_PREFIX).clamp(MIN_BITS, MAX_BITS).next_power_of_two();
        Self { words: vec![0; bits / 64].into() }
    }

    /// Whether the filter has too few bits for this many prefixes, and can have more.
    pub(super) fn is_too_small_for(&self, prefixes: usize) -> bool {
        let bits = self.words.len() * 64;
        bits < MAX_BITS && bits < prefixes.saturating_mul(BITS_PER_PREFIX)
    }

    pub(super) fn insert(&mut self, prefix: u64) {
        let (word, bit) = self.position(prefix);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether the prefix was inserted. A few others are accepted, too.
    pub(super) fn accepts(&self, prefix: u64) -> bool {
        let (word, bit) = self.position(prefix);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Returns the word and bit of a prefix. Fibonacci hashing: the upper bits of the product depend on the whole prefix.
    fn position(&self, prefix: u64) -> (usize, u64) {
        let hash = prefix.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        let word = usize::try_from(hash >> 6).unwrap_or_default() & self.words.len().wrapping_sub(1);
        (word, 1 << (hash & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of other prefixes that a filter with this many prefixes accepts, in percent.
    fn accepted_percent(prefixes: u64) -> usize {
        let prefix = |n: u64| n.wrapping_mul(0x0101_0307_0B0D_1113);
        let mut filter = PrefixFilter::default();
        for n in 0..prefixes {
            if filter.is_too_small_for(usize::try_from(n + 1).unwrap()) {
                filter = PrefixFilter::with_room_for(usize::try_from(n + 1).unwrap());
                (0..n).for_each(|n| filter.insert(prefix(n)));
            }
            filter.insert(prefix(n));
        }
        assert!((0..prefixes).all(|n| filter.accepts(prefix(n))));
        (prefixes..prefixes + 10_000).filter(|n| filter.accepts(prefix(*n))).count() / 100
    }

    #[test]
    fn prefix_filter_accepts_inserted_and_few_other_prefixes() {
        assert_eq!(accepted_percent(0), 0);
        for prefixes in [1, 10, 100, 400] {
            let accepted = accepted_percent(prefixes);
            assert!(accepted <= 2, "{accepted} % of others with {prefixes}");
        }
    }

    #[test]
    fn prefix_filter_size_follows_prefixes() {
        let bytes = |prefixes| PrefixFilter::with_room_for(prefixes).words.len() * 8;
        assert_eq!([bytes(1), bytes(20), bytes(1_000_000)], [128, 1024, 8192]);
        assert!(!PrefixFilter::with_room_for(1_000_000).is_too_small_for(1_000_000), "the maximum");
    }
}
