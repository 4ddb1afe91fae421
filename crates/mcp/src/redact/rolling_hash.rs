//! Polynomial hashes: once a text is hashed, the hash of any part of it takes two multiplications, regardless of its
//! length.
//!
//! Equal texts always have equal hashes, so no secret is missed. Different texts with equal hashes can be constructed
//! on purpose, but the only effect is that more than the secrets is masked.

/// A remainder modulo [`PRIME`].
pub(super) type Hash = u64;

/// A Mersenne prime, for which remainders are cheap to compute.
const PRIME: u64 = (1 << 61) - 1;
/// An arbitrary large number.
const BASE: u64 = 0x0D6E_8FEB_8665_9FD9;

/// Returns the hash of a whole text.
pub(super) fn hash(text: &[u8]) -> Hash {
    text.iter().fold(0, |hash, &byte| extend_hash(hash, byte))
}

/// Returns the hash of a text with one character appended. No character counts as zero, so that the length affects
/// the hash.
pub(super) fn extend_hash(hash: Hash, byte: u8) -> Hash {
    add(multiply(hash, BASE), u64::from(byte) + 1)
}

/// Returns the hash of the end of a text, from the hashes of the whole and of its beginning. `power` belongs to the
/// length of the end.
pub(super) fn suffix_hash(whole: Hash, beginning: Hash, power: Hash) -> Hash {
    add(whole, PRIME - multiply(beginning, power))
}

/// Returns the next power of the base.
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
