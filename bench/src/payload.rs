//! `Payload`: credentials of the length that STS issues, 496 bytes of text.

/// The total length of the three texts.
pub(crate) const PAYLOAD_BYTES: usize = 496;

/// The three texts of credentials, distinct for each number.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
}

impl Payload {
    pub(crate) fn with_number(number: u64) -> Self {
        let (key_id, secret) = (format!("ASIA{number:016}"), format!("{number:040}"));
        let mut token = "t".repeat(PAYLOAD_BYTES - key_id.len() - secret.len());
        let number = number.to_string();
        token.replace_range(..number.len(), &number);
        Self { key_id, secret, token }
    }

    #[cfg(test)]
    fn total_bytes(&self) -> usize {
        self.key_id.len() + self.secret.len() + self.token.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_with_number_has_payload_bytes() {
        assert_eq!(Payload::with_number(7).total_bytes(), PAYLOAD_BYTES);
        assert_eq!(Payload::with_number(u64::from(u32::MAX)).total_bytes(), PAYLOAD_BYTES);
        assert_ne!(Payload::with_number(7).token, Payload::with_number(8).token);
    }
}
