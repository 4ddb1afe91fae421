//! The keys this cloud knows, whose they are, and the proof that a request was made with one of them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use valetkey::ExposeSecret;

use super::answer::{Fault, Refusal};
use super::plan::UserPlan;
use super::policy::Policy;
use super::signature::{Signature, TOKEN};
use super::{impossible, now};

const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SOURCE: &str = "local-cloud";

/// Whoever a key speaks for: a user, or one session of a role.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    /// What only a session of a role has.
    pub(super) session: Option<RoleSession>,
}

/// What a session of a role carries along.
#[derive(Debug)]
pub(super) struct RoleSession {
    pub(super) role_arn: String,
    pub(super) source_identity: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive_tags: Vec<String>,
    pub(super) policy: Option<Policy>,
}

impl Principal {
    /// Narrowed sessions may do only what their policy allows.
    pub(super) fn check(&self, action: &str, resource: &str) -> Result<(), Refusal> {
        let policy = self.session.as_ref().and_then(|session| session.policy.as_ref());
        if policy.is_none_or(|policy| policy.allows(action, resource)) {
            return Ok(());
        }
        Err(self.refused(action, resource))
    }

    /// The words in which AWS denies something to somebody.
    pub(super) fn refused(&self, action: &str, resource: &str) -> Refusal {
        let message =
            format!("User: {} is not authorized to perform: {action} on resource: {resource}", self.arn);
        Refusal::new(Fault::Denied, message)
    }
}

impl RoleSession {
    /// The transitive tags, which a role assumed from this session inherits.
    pub(super) fn passed_on(&self) -> impl Iterator<Item = (String, String)> {
        self.tags.iter().filter(|(key, _)| self.transitive_tags.contains(key)).cloned()
    }
}

/// A key pair and its owner; the pair itself prints nothing secret.
struct Key {
    pair: Credentials,
    expires_at: Option<SystemTime>,
    owner: Arc<Principal>,
}

/// All keys: planned ones, which never expire, and issued ones, which do.
pub(super) struct KeyRing(HashMap<String, Key>);

impl KeyRing {
    pub(super) fn of_users(users: Vec<UserPlan>) -> io::Result<Self> {
        let mut keys = HashMap::new();
        for user in users {
            let owner = Principal {
                arn: format!("arn:aws:iam::{}:user/{}", user.account, user.name),
                user_id: minted_id("AIDA"),
                account: user.account,
                session: None,
            };
            let pair = Credentials::new(
                &user.access_key_id,
                user.secret_access_key.expose_secret(),
                None,
                None,
                SOURCE,
            );
            let key = Key { pair, expires_at: None, owner: Arc::new(owner) };
            if keys.insert(user.access_key_id, key).is_some() {
                return Err(impossible("two users have the same access key id"));
            }
        }
        Ok(Self(keys))
    }

    /// Who signed this request. An expired key is only told so to whom it belongs.
    pub(super) fn authenticate(&self, parts: &Parts, body: &[u8]) -> Result<Arc<Principal>, Refusal> {
        let signature = Signature::of(&parts.headers)?;
        let invalid =
            || Refusal::new(Fault::UnknownKey, "The security token included in the request is invalid.");
        let key = self.0.get(signature.access_key_id).ok_or_else(invalid)?;
        if !key.goes_with(&parts.headers) {
            return Err(invalid());
        }
        signature.verify(parts, body, &key.pair)?;
        if key.expires_at.is_some_and(|at| at <= now()) {
            return Err(Refusal::new(
                Fault::Expired,
                "The security token included in the request is expired",
            ));
        }
        Ok(Arc::clone(&key.owner))
    }

    /// Issues a fresh temporary key.
    pub(super) fn issue(&mut self, owner: Principal, expires_at: SystemTime) -> Credentials {
        let id = minted_id("ASIA");
        let secret = random_text(SECRET_ALPHABET, 40);
        let token = format!("IQoJb3JpZ2luX2Vj{}", random_text(SECRET_ALPHABET, 240));
        let pair = Credentials::new(&id, secret, Some(token), Some(expires_at), SOURCE);
        self.0.insert(id, Key { pair: pair.clone(), expires_at: Some(expires_at), owner: Arc::new(owner) });
        pair
    }

    pub(super) fn age(&mut self, by: Duration) {
        for at in self.0.values_mut().filter_map(|key| key.expires_at.as_mut()) {
            *at = at.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH);
        }
    }
}

impl Key {
    /// A temporary key goes with its own token, a long-lived one with none.
    fn goes_with(&self, headers: &HeaderMap) -> bool {
        let mut tokens = headers.get_all(TOKEN).iter();
        match (self.pair.session_token(), tokens.next(), tokens.next()) {
            (None, None, _) => true,
            (Some(issued), Some(sent), None) => bool::from(issued.as_bytes().ct_eq(sent.as_bytes())),
            _ => false,
        }
    }
}

/// A fresh identifier of the given kind.
pub(super) fn minted_id(kind: &str) -> String {
    format!("{kind}{}", random_text(ID_ALPHABET, 16))
}

/// Random text from the operating system's randomness; some positions of a UUID are fixed, most are not.
pub(super) fn random_text<const N: usize>(alphabet: &[u8; N], length: usize) -> String {
    let bytes = std::iter::repeat_with(|| Uuid::new_v4().into_bytes()).flatten();
    bytes
        .take(length)
        .map(|byte| char::from(alphabet.get(usize::from(byte) % N).copied().unwrap_or(b'A')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_cannot_belong_to_two_users() {
        let users = vec![UserPlan::new("1", "a", "AKIA1", "s"), UserPlan::new("2", "b", "AKIA1", "s")];
        assert!(KeyRing::of_users(users).is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput));
    }

    #[test]
    fn issued_keys_differ_and_look_like_aws() {
        let one = minted_id("ASIA");
        assert_eq!(one.len(), 20);
        assert!(one.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
        assert_ne!(one, minted_id("ASIA"));
    }
}
