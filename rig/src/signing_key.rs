//! `SigningKey`: signs access tokens as an identity provider does, and as an attacker would.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::{Error, Result};

/// The length of the header before the PKCS#1 key in a PKCS#8 document of a 2,048-bit RSA key.
const PKCS8_HEADER_LEN: usize = 26;

/// A key that signs tokens.
pub struct SigningKey {
    id: &'static str,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl SigningKey {
    /// Generates an RSA key with this `kid`.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn rsa(id: &'static str) -> Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?;
        // jsonwebtoken reads PKCS#1.
        let key = EncodingKey::from_rsa_der(&pkcs8.as_ref()[PKCS8_HEADER_LEN..]);
        Ok(Self { id, key, algorithm: Algorithm::RS256 })
    }

    /// Generates a key of an elliptic curve with this `kid`.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn elliptic(id: &'static str) -> Result<Self> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let key = EncodingKey::from_ec_der(pkcs8.map_err(failed)?.as_ref());
        Ok(Self { id, key, algorithm: Algorithm::ES256 })
    }

    /// Creates a secret key, with which everyone who knows the secret can sign.
    #[must_use]
    pub fn secret(id: &'static str, secret: &[u8]) -> Self {
        Self { id, key: EncodingKey::from_secret(secret), algorithm: Algorithm::HS256 }
    }

    /// Returns the public key as a JSON Web Key.
    ///
    /// # Errors
    /// When it is a secret key.
    pub fn jwk(&self) -> Result<Value> {
        let mut jwk = json!(Jwk::from_encoding_key(&self.key, self.algorithm).map_err(failed)?);
        jwk["kid"] = self.id.into();
        jwk["use"] = "sig".into();
        Ok(jwk)
    }

    /// Returns the header of a token.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "kid": self.id, "typ": "at+jwt"})
    }

    /// Returns a token with these claims.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, claims: &Value) -> Result<String> {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// Signs a header and claims as they are.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub fn sign(&self, header: &str, claims: &str) -> Result<String> {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = sign(message.as_bytes(), &self.key, self.algorithm).map_err(failed)?;
        Ok(format!("{message}.{signature}"))
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Key(error.to_string())
}
