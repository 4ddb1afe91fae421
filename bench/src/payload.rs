//! One set of keys, of the length that STS issues: 496 bytes of text.

/// The length of all three texts together.
pub(crate) const BYTES: usize = 496;

/// The three texts of a set; each number has its own.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
}

impl Payload {
    pub(crate) fn numbered(number: u64) -> Self {
        let (key_id, secret) = (format!("ASIA{number:016}"), format!("{number:040}"));
        let mut token = "t".repeat(BYTES - key_id.len() - secret.len());
        let number = number.to_string();
        token.replace_range(..number.len(), &number);
        Self { key_id, secret, token }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.key_id.len() + self.secret.len() + self.token.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_length_that_it_says() {
        assert_eq!(Payload::numbered(7).bytes(), BYTES);
        assert_eq!(Payload::numbered(u64::from(u32::MAX)).bytes(), BYTES);
        assert_ne!(Payload::numbered(7).token, Payload::numbered(8).token);
    }
}
