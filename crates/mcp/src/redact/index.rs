//! `Index`: all patterns at once, looked for in time that grows with the text and not with the secrets.

use std::collections::HashMap;
use std::ops::Range;

use super::meant::Meant;
use super::pattern::{HEAD, Pattern, length_of, shifted};
use super::reading::Reading;
use super::rolling::Hash;

/// What is looked for. A reader keeps the one that it began with, and so holds no lock.
///
/// A text in which no secret begins is read once and nothing is allocated. Else each place where one may begin is
/// compared by hashes, which takes the same time for long and short secrets: at most once for each step of lengths, and
/// at most [`CROWD`] times for each step whose prefix is there.
#[derive(Clone)]
pub(super) struct Index {
    /// Which steps there are of the patterns that begin so, a bit each.
    heads: HashMap<u64, u64>,
    /// Length and hash of the patterns of a step that have this prefix, the longest first.
    groups: HashMap<(u8, Hash), Vec<(usize, Hash)>>,
    /// A bit for each head: most of a text is passed by with one look.
    marks: Box<[u64; MARKS / 64]>,
    /// There are secrets that are not known: every text may hold one.
    overflown: bool,
}

const MARKS: usize = 1 << 16;

/// Secrets that have more than two thirds in common with so many others are not random. They are masked as if each was
/// the longest: more may be masked than they are, but never less.
const CROWD: usize = 8;

impl Default for Index {
    fn default() -> Self {
        Self {
            heads: HashMap::new(),
            groups: HashMap::new(),
            marks: Box::new([0; MARKS / 64]),
            overflown: false,
        }
    }
}

impl Index {
    pub(super) fn insert(&mut self, pattern: &Pattern) {
        let (slot, bit) = mark(pattern.head);
        self.marks[slot] |= bit;
        *self.heads.entry(pattern.head).or_default() |= 1 << pattern.step;
        let group = self.groups.entry((pattern.step, pattern.prefix)).or_default();
        let known = (pattern.length, pattern.hash);
        if let Err(at) = group.binary_search_by(|other| known.cmp(other)) {
            group.insert(at, known);
        }
    }

    /// Where secrets are in `text`: in order, apart from each other.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        match text {
            "" => Vec::new(),
            _ if self.overflown => std::iter::once(0..text.len()).collect(),
            _ if self.may_be_in(text) => self.search(&Reading::of(text)),
            _ => Vec::new(),
        }
    }

    /// From now on every text is one secret.
    pub(super) fn overflow(&mut self) {
        self.overflown = true;
    }

    pub(super) fn is_overflown(&self) -> bool {
        self.overflown
    }

    /// Whether some secret begins in `text`, as far as its first characters show.
    fn may_be_in(&self, text: &str) -> bool {
        if self.heads.is_empty() || text.len() < HEAD {
            return false;
        }
        let mut window = 0;
        Meant::of(text).zip(1..).any(|(sign, count)| {
            window = shifted(window, sign.byte);
            count >= HEAD && self.is_marked(window) && self.heads.contains_key(&window)
        })
    }

    pub(super) fn search(&self, text: &Reading) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut window = 0;
        for (at, &byte) in text.bytes().iter().enumerate() {
            window = shifted(window, byte);
            let Some(start) = (at + 1).checked_sub(HEAD).filter(|_| self.is_marked(window)) else { continue };
            let Some(length) = self.longest(window, start, text) else { continue };
            let secret = text.place(start, length);
            match found.last_mut() {
                Some(last) if secret.start <= last.end => last.end = last.end.max(secret.end),
                _ => found.push(secret),
            }
        }
        found
    }

    /// The length of the longest pattern that begins at `start`, with this head.
    fn longest(&self, head: u64, start: usize, text: &Reading) -> Option<usize> {
        let mut steps = *self.heads.get(&head)?;
        while let Some(step) = steps.checked_ilog2() {
            steps &= !(1 << step);
            let step = u8::try_from(step).ok()?;
            let prefix = text.hash(start, length_of(step));
            let group = prefix.and_then(|prefix| self.groups.get(&(step, prefix)));
            if let Some(length) = group.and_then(|group| longest_of(group, start, text)) {
                return Some(length);
            }
        }
        None
    }

    fn is_marked(&self, head: u64) -> bool {
        let (slot, bit) = mark(head);
        self.marks[slot] & bit != 0
    }
}

fn longest_of(group: &[(usize, Hash)], start: usize, text: &Reading) -> Option<usize> {
    let of_text = |&&(length, hash): &&(usize, Hash)| text.hash(start, length) == Some(hash);
    match group {
        [(longest, _), ..] if group.len() > CROWD => Some(*longest),
        group => group.iter().find(of_text).map(|(length, _)| *length),
    }
}

/// Where the bit of a head is. Fibonacci hashing: the upper bits of the product depend on all of the head.
fn mark(head: u64) -> (usize, u64) {
    let hash = head.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
    ((hash >> 6) as usize, 1 << (hash & 63))
}
