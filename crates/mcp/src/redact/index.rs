//! `Index`: all patterns at once, looked for in one pass.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::meant::Meant;
use super::pattern::{HEAD, Pattern, shifted};

/// The patterns of one secret; several indexes share them.
pub(super) type Patterns = Arc<[Pattern]>;

/// What is looked for. Made anew when that changes, so that nobody who looks holds a lock.
pub(super) struct Index {
    patterns: Vec<Patterns>,
    /// Which patterns begin so.
    heads: HashMap<u64, Vec<(usize, usize)>>,
    /// A bit for each head: most of a text is passed by with one look.
    marks: Box<[u64; MARKS / 64]>,
}

const MARKS: usize = 1 << 16;

impl Default for Index {
    fn default() -> Self {
        Self { patterns: Vec::new(), heads: HashMap::new(), marks: Box::new([0; MARKS / 64]) }
    }
}

impl Index {
    pub(super) fn new(patterns: impl Iterator<Item = Patterns>) -> Self {
        let mut index = Self { patterns: patterns.collect(), ..Self::default() };
        for (secret, patterns) in index.patterns.iter().enumerate() {
            for (spelling, pattern) in patterns.iter().enumerate() {
                let (slot, bit) = mark(pattern.head());
                index.marks[slot] |= bit;
                index.heads.entry(pattern.head()).or_default().push((secret, spelling));
            }
        }
        index
    }

    /// Where secrets are in `text`: in order, apart from each other.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.heads.is_empty() || text.len() < HEAD {
            return found;
        }
        let (mut window, mut starts) = (0, [0; HEAD]);
        let mut meant = Meant::of(text);
        let mut count = 0;
        while let Some(sign) = meant.next() {
            window = shifted(window, sign.byte);
            starts[count % HEAD] = sign.start;
            count += 1;
            if count < HEAD || !self.is_marked(window) {
                continue;
            }
            let Some(end) = self.longest(window, sign.end, &meant) else { continue };
            let start = starts[count % HEAD];
            match found.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => found.push(start..end),
            }
        }
        found
    }

    /// Where the longest pattern ends whose head was just read.
    fn longest(&self, head: u64, end: usize, rest: &Meant<'_>) -> Option<usize> {
        let candidates = self.heads.get(&head)?.iter();
        candidates
            .filter_map(|&(secret, spelling)| self.patterns[secret][spelling].ends(end, rest.clone()))
            .max()
    }

    fn is_marked(&self, head: u64) -> bool {
        let (slot, bit) = mark(head);
        self.marks[slot] & bit != 0
    }
}

/// Where the bit of a head is. Fibonacci hashing: the upper bits of the product depend on all of the head.
fn mark(head: u64) -> (usize, u64) {
    let hash = head.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
    ((hash >> 6) as usize, 1 << (hash & 63))
}
