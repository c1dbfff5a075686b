//! The keys that tokens are verified with, and the place where a worker finds the newest.
//!
//! A place is a named exception to "frozen with the epoch": **who writes**: control, when a key set has been fetched or a
//! file has changed; **who reads**: every worker, for a request that bears a token. A reader never waits; it goes on with
//! the set it has found. Each key is bound to algorithms of its own kind when it is read, so that a public key is never
//! taken for a secret, whatever a token says. Out of scope: fetching (`control/keys`), verifying (`wall::jwt`).

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use crate::limits::KEYS_IN_SET_MAX;

/// One set of keys.
#[derive(Clone)]
pub struct Keys {
    keys: Box<[Key]>,
    print: u64,
}

#[derive(Clone)]
struct Key {
    id: Option<Box<str>>,
    algorithms: Box<[Algorithm]>,
    key: DecodingKey,
}

/// Without the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.keys.len()).field("print", &self.print).finish_non_exhaustive()
    }
}

impl Keys {
    /// One secret, for HS algorithms.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_secret(secret: &str, allowed: &[Algorithm]) -> Result<Self, String> {
        let key = DecodingKey::from_secret(secret.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self::new(vec![Key { id: None, algorithms: of_family(allowed, key.family()), key }], secret))
    }

    /// One public key in PEM, of the kind that the algorithms want.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_pem(pem: &str, allowed: &[Algorithm]) -> Result<Self, String> {
        let read = match allowed.first().map(|algorithm| algorithm.family()) {
            Some(AlgorithmFamily::Rsa) => DecodingKey::from_rsa_pem(pem.as_bytes()),
            Some(AlgorithmFamily::Ec) => DecodingKey::from_ec_pem(pem.as_bytes()),
            Some(AlgorithmFamily::Ed) => DecodingKey::from_ed_pem(pem.as_bytes()),
            _ => return Err("a public key is for RS, PS, ES and EdDSA algorithms".to_owned()),
        };
        let key = read.map_err(|error| format!("not a public key in PEM for these algorithms: {error}"))?;
        Ok(Self::new(vec![Key { id: None, algorithms: of_family(allowed, key.family()), key }], pem))
    }

    /// A JSON Web Key Set (RFC 7517 section 5). Keys for other uses, algorithms or kinds are left out.
    ///
    /// # Errors
    /// When it is none, or has no key that is of use.
    pub fn of_set(text: &str, allowed: &[Algorithm]) -> Result<Self, String> {
        let set: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("not a key set: it has no `keys`")?;
        let keys: Vec<_> = listed.iter().filter_map(|key| of_jwk(key, allowed)).take(KEYS_IN_SET_MAX).collect();
        if keys.is_empty() {
            return Err(format!("none of its {} keys is for the algorithms of the service", listed.len()));
        }
        Ok(Self::new(keys, text))
    }

    fn new(keys: Vec<Key>, source: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        Self { keys: keys.into(), print: hasher.finish() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Stands for what the set was made of.
    #[must_use]
    pub const fn print(&self) -> u64 {
        self.print
    }

    /// Keys that a token of this head may be signed with: those of its id and those without any.
    pub fn candidates<'k>(
        &'k self,
        id: Option<&'k str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'k DecodingKey> {
        let suits = move |key: &&Key| {
            let same = key.id.as_deref().zip(id).is_none_or(|(own, named)| own == named);
            same && key.algorithms.contains(&algorithm)
        };
        self.keys.iter().filter(suits).map(|key| &key.key)
    }
}

fn of_family(allowed: &[Algorithm], family: AlgorithmFamily) -> Box<[Algorithm]> {
    allowed.iter().copied().filter(|algorithm| algorithm.family() == family).collect()
}

fn of_jwk(value: &Value, allowed: &[Algorithm]) -> Option<Key> {
    let own = value.get("alg").and_then(Value::as_str);
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let named = |algorithm: &Algorithm| own.is_none_or(|own| own.parse().is_ok_and(|own: Algorithm| own == *algorithm));
    let algorithms: Box<[_]> = of_family(allowed, key.family()).into_iter().filter(named).collect();
    (!algorithms.is_empty()).then(|| Key { id: jwk.common.key_id.map(Into::into), algorithms, key })
}

/// Where keys come from that may change while the configuration stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A key set in this file.
    File(PathBuf),
    /// A public key in this file.
    Pem(PathBuf),
    /// This URL.
    Url(Box<str>),
}

/// The newest set of one origin.
#[derive(Default)]
pub struct Place(ArcSwapOption<Keys>);

/// What is there now is not configuration, but for a set that came with the files.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.load().fmt(f)
    }
}

impl Place {
    /// A place with a set in it.
    #[must_use]
    pub fn with(keys: Keys) -> Arc<Self> {
        let place = Self::default();
        place.put(Arc::new(keys));
        Arc::new(place)
    }

    /// The set; none until the first was fetched.
    #[must_use]
    pub fn look(&self) -> Guard<Option<Arc<Keys>>> {
        self.0.load()
    }

    /// Puts another set there; gives back the one before, so that its last owner is not a worker.
    pub fn put(&self, keys: Arc<Keys>) -> Option<Arc<Keys>> {
        self.0.swap(Some(keys))
    }
}

/// A set that control keeps up to date.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it comes from.
    pub origin: Origin,
    /// How often it is looked at again.
    pub refresh_ms: u32,
    /// For these.
    pub algorithms: Box<[Algorithm]>,
    /// Where it is put.
    pub place: Arc<Place>,
}
