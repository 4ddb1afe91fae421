//! `PatternIndex`: finds all patterns at once, in time that depends on the text and not on the number of secrets.
//!
//! A Bloom filter of the first eight characters of all patterns rejects almost every position of a text at once. For
//! the remaining positions, the index has the steps in which the lengths of such patterns lie. The text of each step is
//! hashed, the longest first, and only patterns with the same hash are compared.

use std::collections::HashMap;
use std::ops::Range;

use super::normalize::{NormalizedText, Normalizer};
use super::pattern::{PREFIX_LEN, Pattern, push_byte, step_length};
use super::prefix_filter::PrefixFilter;
use super::rolling_hash::Hash;

/// The patterns to search for. It is shared and immutable during a search, so no lock is held.
///
/// A text without the prefix of a secret is read once, without allocation. Otherwise each candidate position is
/// compared by hashes, at a cost that is independent of the lengths of secrets: at most once for each length step,
/// and at most [`MAX_GROUP_COMPARISONS`] times for each step with a matching prefix.
#[derive(Clone, Default)]
pub(super) struct PatternIndex {
    /// The length steps of the patterns with this prefix, as a bit set.
    steps_by_prefix: HashMap<u64, u64>,
    /// Length and hash of the patterns with this step and step hash, longest first.
    patterns_by_step: HashMap<(u8, Hash), Vec<(usize, Hash)>>,
    /// The keys of `steps_by_prefix`.
    prefixes: PrefixFilter,
    /// Set when secrets exist that are not indexed, so that any text may contain one.
    overflowed: bool,
}

/// Limit on the comparisons per step. Secrets that share more than two thirds with so many others are not random.
/// Each is then masked as if it were the longest: the mask may be too long, but never too short.
pub(super) const MAX_GROUP_COMPARISONS: usize = 8;

impl PatternIndex {
    pub(super) fn insert(&mut self, pattern: &Pattern) {
        *self.steps_by_prefix.entry(pattern.prefix_bytes).or_default() |= 1 << pattern.step;
        self.insert_prefix(pattern.prefix_bytes);
        let group = self.patterns_by_step.entry((pattern.step, pattern.step_hash)).or_default();
        let entry = (pattern.length, pattern.hash);
        if let Err(at) = group.binary_search_by(|other| entry.cmp(other)) {
            group.insert(at, entry);
        }
    }

    /// Adds a key of `steps_by_prefix` to the filter.
    fn insert_prefix(&mut self, prefix: u64) {
        if self.prefixes.is_too_small_for(self.steps_by_prefix.len()) {
            self.prefixes = PrefixFilter::with_room_for(self.steps_by_prefix.len());
            self.steps_by_prefix.keys().for_each(|known| self.prefixes.insert(*known));
        }
        self.prefixes.insert(prefix);
    }

    /// Returns the ranges of secrets in `text`, in order and without overlap.
    pub(super) fn find_secrets(&self, text: &str) -> Vec<Range<usize>> {
        match text {
            "" => Vec::new(),
            _ if self.overflowed => std::iter::once(0..text.len()).collect(),
            _ if self.may_contain_secret(text) => self.search(&NormalizedText::new(text)),
            _ => Vec::new(),
        }
    }

    /// Makes every text count as one secret from now on.
    pub(super) fn set_overflowed(&mut self) {
        self.overflowed = true;
    }

    pub(super) fn is_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Whether `text` contains the prefix of a secret.
    fn may_contain_secret(&self, text: &str) -> bool {
        if self.steps_by_prefix.is_empty() || text.len() < PREFIX_LEN {
            return false;
        }
        let mut window = 0;
        Normalizer::new(text).zip(1..).any(|(sign, count)| {
            window = push_byte(window, sign.byte);
            count >= PREFIX_LEN && self.prefixes.accepts(window) && self.steps_by_prefix.contains_key(&window)
        })
    }

    /// Returns the ranges of secrets in the source text. Ranges that touch or overlap are merged, so that no part of a
    /// secret remains between two masks.
    pub(super) fn search(&self, text: &NormalizedText) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut window = 0;
        for (at, &byte) in text.bytes().iter().enumerate() {
            window = push_byte(window, byte);
            let Some(start) = (at + 1).checked_sub(PREFIX_LEN).filter(|_| self.prefixes.accepts(window))
            else {
                continue;
            };
            let Some(length) = self.longest_match(window, start, text) else { continue };
            let secret = text.source_range(start, length);
            match found.last_mut() {
                Some(last) if secret.start <= last.end => last.end = last.end.max(secret.end),
                _ => found.push(secret),
            }
        }
        found
    }

    /// Returns the length of the longest pattern that begins at `start` and has the prefix `head`.
    fn longest_match(&self, prefix: u64, start: usize, text: &NormalizedText) -> Option<usize> {
        let mut steps = *self.steps_by_prefix.get(&prefix)?;
        while let Some(step) = steps.checked_ilog2() {
            steps &= !(1 << step);
            let step = u8::try_from(step).ok()?;
            let prefix = text.range_hash(start, step_length(step));
            let group = prefix.and_then(|prefix| self.patterns_by_step.get(&(step, prefix)));
            if let Some(length) = group.and_then(|group| longest_in_group(group, start, text)) {
                return Some(length);
            }
        }
        None
    }
}

/// Returns the length of the longest pattern of a group that matches at `start`. A group with too many patterns is not
/// compared, and its longest pattern counts as a match.
fn longest_in_group(group: &[(usize, Hash)], start: usize, text: &NormalizedText) -> Option<usize> {
    let matches = |&&(length, hash): &&(usize, Hash)| text.range_hash(start, length) == Some(hash);
    match group {
        [(longest, _), ..] if group.len() > MAX_GROUP_COMPARISONS => Some(*longest),
        group => group.iter().find(matches).map(|(length, _)| *length),
    }
}
