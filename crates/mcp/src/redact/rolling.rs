//! Polynomial hashes: once a text is read, the hash of any part of it costs two multiplications, however long it is.
//!
//! Equal texts always have equal hashes, so no secret is missed. Different texts of equal hashes could be made on
//! purpose; whoever does so has more masked than the secrets.

/// A remainder modulo [`PRIME`].
pub(super) type Hash = u64;

/// A Mersenne prime: remainders are cheap.
const PRIME: u64 = (1 << 61) - 1;
/// Any number will do that is not small.
const BASE: u64 = 0x0D6E_8FEB_8665_9FD9;

/// The hash of a whole text.
pub(super) fn hash(text: &[u8]) -> Hash {
    text.iter().fold(0, |hash, &byte| extend_hash(hash, byte))
}

/// The hash of a text with one more character. No character counts as zero, so that length matters.
pub(super) fn extend_hash(hash: Hash, byte: u8) -> Hash {
    add(multiply(hash, BASE), u64::from(byte) + 1)
}

/// The hash of the end of a text: of the whole without its beginning, by their hashes.
pub(super) fn suffix_hash(whole: Hash, beginning: Hash, power: Hash) -> Hash {
    add(whole, PRIME - multiply(beginning, power))
}

/// The base to the power of one more.
pub(super) fn next_power(power: Hash) -> Hash {
    multiply(power, BASE)
}

fn add(a: Hash, b: Hash) -> Hash {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

#[allow(clippy::cast_possible_truncation, reason = "both halves of a product of 61-bit numbers fit")]
fn multiply(a: Hash, b: Hash) -> Hash {
    let product = u128::from(a) * u128::from(b);
    add((product as u64) & PRIME, (product >> 61) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_hash_equals_hash_of_the_part() {
        let text = b"\0\0\xFFsome text, and the same: some text";
        for start in 0..text.len() {
            for end in start..=text.len() {
                let power = (start..end).fold(1, |power, _| next_power(power));
                let part = suffix_hash(hash(&text[..end]), hash(&text[..start]), power);
                assert_eq!(part, hash(&text[start..end]), "{start}..{end}");
            }
        }
    }

    #[test]
    fn hash_zero_bytes_change_the_hash() {
        assert_ne!(hash(b"\0"), hash(b"\0\0"));
        assert_ne!(hash(b""), hash(b"\0"));
    }
}
