//! `KeySet`: the verification keys of an issuer.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The minimum length of an RSA modulus, in bytes (2,048 bits).
const MIN_RSA_LEN: usize = 256;

/// The keys with which tokens may be signed, by key id. A document may contain other keys, which are skipped: secret
/// keys, keys for encryption, short RSA keys, and keys of types that are not supported.
#[derive(Debug, Default, Clone)]
pub(super) struct KeySet(HashMap<Option<String>, VerificationKey>);

/// A key and the algorithms that may be used with it. The algorithm in a token only selects one of them.
#[derive(Debug, Clone)]
pub(super) struct VerificationKey {
    pub(super) key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

#[derive(Deserialize)]
struct KeyDocument {
    keys: Vec<Value>,
}

impl KeySet {
    /// Parses a JSON Web Key Set. Returns `None` if it is malformed or has no usable key.
    pub(super) fn parse(document: &[u8]) -> Option<Self> {
        let document: KeyDocument = serde_json::from_slice(document).ok()?;
        let mut keys = HashMap::new();
        let mut duplicates = Vec::new();
        for jwk in document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            let Some(key) = VerificationKey::new(&jwk) else { continue };
            let id = jwk.common.key_id;
            if keys.insert(id.clone(), key).is_some() {
                duplicates.push(id);
            }
        }
        // Which key a token means would depend on their order.
        duplicates.iter().for_each(|id| drop(keys.remove(id)));
        if keys.is_empty() { None } else { Some(Self(keys)) }
    }

    /// Returns the key of this id. A token without an id is of the only key.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&VerificationKey> {
        match id {
            Some(id) => self.0.get(&Some(id.to_owned())),
            None if self.0.len() == 1 => self.0.values().next(),
            None => None,
        }
    }

    /// Whether both have the same key ids, and so the same keys: an issuer changes the id with the key.
    pub(super) fn has_same_ids(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.keys().all(|id| other.0.contains_key(id))
    }
}

impl VerificationKey {
    fn new(jwk: &Jwk) -> Option<Self> {
        let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let operations = jwk.common.key_operations.as_deref();
        if !for_signatures || operations.is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
            return None;
        }
        let supported = supported_algorithms(&jwk.algorithm)?;
        let algorithms = match jwk.common.key_algorithm {
            None => supported,
            Some(named) => {
                let named: Algorithm = named.to_string().parse().ok()?;
                supported.into_iter().filter(|algorithm| *algorithm == named).collect()
            }
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        if algorithms.is_empty() { None } else { Some(Self { key, algorithms }) }
    }

    /// Returns the algorithm of this name if it may be used with the key.
    pub(super) fn algorithm(&self, name: &str) -> Option<Algorithm> {
        let named: Algorithm = name.parse().ok()?;
        self.algorithms.iter().copied().find(|algorithm| *algorithm == named)
    }
}

/// Whether signatures of this algorithm are verified with a public key.
pub(super) fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// Returns the algorithms for keys of this type. A secret key has none: everyone who can read the document has it.
fn supported_algorithms(parameters: &AlgorithmParameters) -> Option<Vec<Algorithm>> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = BASE64_URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            let modulus_len = modulus.iter().skip_while(|byte| **byte == 0).count();
            (modulus_len >= MIN_RSA_LEN).then(|| vec![RS256, RS384, RS512, PS256, PS384, PS512])
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(vec![ES256]),
            EllipticCurve::P384 => Some(vec![ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(_) => Some(vec![EdDSA]),
        _ => None,
    }
}
