//! `NormalizedText`: a normalized text with prefix hashes, which give the hash of any part of it.

use std::ops::Range;

use super::meant::Normalizer;
use super::rolling::{self, Hash};

/// Built only for texts that contain the prefix of a secret, because it is several times the size of the text.
pub(super) struct NormalizedText {
    /// The range of each character in the source text.
    source_ranges: Vec<Range<usize>>,
    bytes: Vec<u8>,
    /// The hashes of all prefixes, from empty to whole.
    prefix_hashes: Vec<Hash>,
    powers: Vec<Hash>,
    #[cfg(test)]
    pub(super) comparisons: std::cell::Cell<usize>,
}

impl NormalizedText {
    pub(super) fn new(text: &str) -> Self {
        let mut reading = Self {
            source_ranges: Vec::new(),
            bytes: Vec::new(),
            prefix_hashes: vec![0],
            powers: vec![1],
            #[cfg(test)]
            comparisons: std::cell::Cell::default(),
        };
        let (mut hash, mut power) = (0, 1);
        for sign in Normalizer::new(text) {
            reading.source_ranges.push(sign.start..sign.end);
            reading.bytes.push(sign.byte);
            hash = rolling::extend_hash(hash, sign.byte);
            reading.prefix_hashes.push(hash);
            power = rolling::next_power(power);
            reading.powers.push(power);
        }
        reading
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the hash of `length` characters from `start` on, or `None` if the text is too short.
    pub(super) fn range_hash(&self, start: usize, length: usize) -> Option<Hash> {
        #[cfg(test)]
        self.comparisons.set(self.comparisons.get() + 1);
        let whole = self.prefix_hashes.get(start.checked_add(length)?)?;
        Some(rolling::suffix_hash(*whole, self.prefix_hashes[start], self.powers[length]))
    }

    /// Returns the source range of `length` characters from `start` on, or of all remaining ones if there are fewer.
    pub(super) fn source_range(&self, start: usize, length: usize) -> Range<usize> {
        let last = start.saturating_add(length).min(self.source_ranges.len()).saturating_sub(1);
        self.source_ranges[start].start..self.source_ranges[last].end
    }
}
