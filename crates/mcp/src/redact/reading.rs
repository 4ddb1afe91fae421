//! `Reading`: a text as it was meant, with the hash of any part of it at hand.

use std::ops::Range;

use super::meant::Meant;
use super::rolling::{self, Hash};

/// Read only for texts in which some secret may begin: it is several times the size of the text.
pub(super) struct Reading {
    /// Where each character is written.
    places: Vec<Range<usize>>,
    bytes: Vec<u8>,
    /// Of the first characters, none to all.
    hashes: Vec<Hash>,
    powers: Vec<Hash>,
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<usize>,
}

impl Reading {
    pub(super) fn of(text: &str) -> Self {
        let mut reading = Self {
            places: Vec::new(),
            bytes: Vec::new(),
            hashes: vec![0],
            powers: vec![1],
            #[cfg(test)]
            steps: std::cell::Cell::default(),
        };
        let (mut hash, mut power) = (0, 1);
        for sign in Meant::of(text) {
            reading.places.push(sign.start..sign.end);
            reading.bytes.push(sign.byte);
            hash = rolling::next(hash, sign.byte);
            reading.hashes.push(hash);
            power = rolling::next_power(power);
            reading.powers.push(power);
        }
        reading
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash of `length` characters from `start` on; `None` if there are not so many.
    pub(super) fn hash(&self, start: usize, length: usize) -> Option<Hash> {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        let whole = self.hashes.get(start.checked_add(length)?)?;
        Some(rolling::difference(*whole, self.hashes[start], self.powers[length]))
    }

    /// Where `length` characters from `start` on are written, or as many as there are.
    pub(super) fn place(&self, start: usize, length: usize) -> Range<usize> {
        let last = start.saturating_add(length).min(self.places.len()).saturating_sub(1);
        self.places[start].start..self.places[last].end
    }
}
