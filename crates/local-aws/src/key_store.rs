//! `KeyStore`: stores access keys and their owners, and authenticates requests.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::response::{AwsError, ErrorCode};
use super::services::{invalid_spec, now};
use super::session_policy::SessionPolicyDocument;
use super::signature::{RequestSignature, TOKEN_HEADER};
use super::spec::UserSpec;

const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PROVIDER_NAME: &str = "local-aws";

/// The principal that a key authenticates: a user, or a session of a role.
#[derive(Debug)]
pub(super) struct CallerPrincipal {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    /// Present for a session of a role.
    pub(super) session: Option<RoleSession>,
}

/// What STS stores with a session of a role.
#[derive(Debug)]
pub(super) struct RoleSession {
    pub(super) role_arn: String,
    pub(super) source_identity: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive_tags: Vec<String>,
    pub(super) policy: Option<SessionPolicyDocument>,
}

impl CallerPrincipal {
    /// Fails if the session has a policy that does not allow the action.
    pub(super) fn check_allowed(&self, action: &str, resource: &str) -> Result<(), AwsError> {
        let policy = self.session.as_ref().and_then(|session| session.policy.as_ref());
        if policy.is_none_or(|policy| policy.allows(action, resource)) {
            return Ok(());
        }
        Err(self.access_denied(action, resource))
    }

    /// Returns the error of AWS for a denied action.
    pub(super) fn access_denied(&self, action: &str, resource: &str) -> AwsError {
        let message =
            format!("User: {} is not authorized to perform: {action} on resource: {resource}", self.arn);
        AwsError::new(ErrorCode::Denied, message)
    }
}

impl RoleSession {
    /// Returns the tags that a role assumed from this session inherits.
    pub(super) fn inherited_tags(&self) -> impl Iterator<Item = (String, String)> {
        self.tags.iter().filter(|(key, _)| self.transitive_tags.contains(key)).cloned()
    }
}

/// A pair of keys and its owner. `Debug` of the pair prints nothing secret.
struct StoredKey {
    credentials: Credentials,
    expires_at: Option<SystemTime>,
    owner: Arc<CallerPrincipal>,
}

/// All keys: those of users, which never expire, and issued ones, which do.
pub(super) struct KeyStore(HashMap<String, StoredKey>);

impl KeyStore {
    pub(super) fn from_users(users: Vec<UserSpec>) -> io::Result<Self> {
        let mut keys = HashMap::new();
        for user in users {
            let owner = CallerPrincipal {
                arn: format!("arn:aws:iam::{}:user/{}", user.account, user.name),
                user_id: random_id("AIDA"),
                account: user.account,
                session: None,
            };
            let pair = Credentials::new(
                &user.access_key_id,
                user.secret_access_key.expose_secret(),
                None,
                None,
                PROVIDER_NAME,
            );
            let key = StoredKey { credentials: pair, expires_at: None, owner: Arc::new(owner) };
            if keys.insert(user.access_key_id, key).is_some() {
                return Err(invalid_spec("two users have the same access key id"));
            }
        }
        Ok(Self(keys))
    }

    /// Returns the principal that signed the request. Expiry is reported only after the signature is verified, so that
    /// it reveals nothing about the keys of other principals.
    pub(super) fn authenticate(&self, parts: &Parts, body: &[u8]) -> Result<Arc<CallerPrincipal>, AwsError> {
        let signature = RequestSignature::from_headers(&parts.headers)?;
        let invalid =
            || AwsError::new(ErrorCode::UnknownKey, "The security token included in the request is invalid.");
        let key = self.0.get(signature.access_key_id).ok_or_else(invalid)?;
        if !key.matches_token(&parts.headers) {
            return Err(invalid());
        }
        signature.verify(parts, body, &key.credentials)?;
        if key.expires_at.is_some_and(|at| at <= now()) {
            return Err(AwsError::new(
                ErrorCode::Expired,
                "The security token included in the request is expired",
            ));
        }
        Ok(Arc::clone(&key.owner))
    }

    /// Issues temporary credentials.
    pub(super) fn issue_credentials(
        &mut self,
        owner: CallerPrincipal,
        expires_at: SystemTime,
    ) -> Credentials {
        let id = random_id("ASIA");
        let secret = random_text(SECRET_ALPHABET, 40);
        let token = format!("IQoJb3JpZ2luX2Vj{}", random_text(SECRET_ALPHABET, 240));
        let pair = Credentials::new(&id, secret, Some(token), Some(expires_at), PROVIDER_NAME);
        self.0.insert(
            id,
            StoredKey { credentials: pair.clone(), expires_at: Some(expires_at), owner: Arc::new(owner) },
        );
        pair
    }

    pub(super) fn advance_expiry(&mut self, by: Duration) {
        for at in self.0.values_mut().filter_map(|key| key.expires_at.as_mut()) {
            *at = at.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH);
        }
    }
}

impl StoredKey {
    /// Temporary keys require their session token; long-lived keys have none.
    fn matches_token(&self, headers: &HeaderMap) -> bool {
        let mut tokens = headers.get_all(TOKEN_HEADER).iter();
        match (self.credentials.session_token(), tokens.next(), tokens.next()) {
            (None, None, _) => true,
            (Some(issued), Some(sent), None) => bool::from(issued.as_bytes().ct_eq(sent.as_bytes())),
            _ => false,
        }
    }
}

/// Returns a random identifier with the prefix of its kind, such as `ASIA`.
pub(super) fn random_id(kind: &str) -> String {
    format!("{kind}{}", random_text(ID_ALPHABET, 16))
}

/// Returns random text. Its bytes are those of random UUIDs, in which a few bits are fixed.
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
    fn key_store_with_a_duplicate_key_id_fails() {
        let users = vec![UserSpec::new("1", "a", "AKIA1", "s"), UserSpec::new("2", "b", "AKIA1", "s")];
        assert!(KeyStore::from_users(users).is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput));
    }

    #[test]
    fn random_id_is_unique_with_aws_prefix() {
        let one = random_id("ASIA");
        assert_eq!(one.len(), 20);
        assert!(one.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
        assert_ne!(one, random_id("ASIA"));
    }
}
