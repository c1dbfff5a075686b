//! Tokens in requests, and the core's memory of those it has verified.
//!
//! A token is verified once by each core and then known by its SHA-256 until it expires. The memory is two tables of
//! bounded size: when the younger is full, the older one is forgotten. A token verified by other rules or other keys is not known: a
//! new key set or a changed file begins anew. Only valid tokens are remembered, so nobody can fill the tables with rubbish.
//! In scope: that. Out of scope: what makes a token valid (`wall::jwt`).

use std::cell::RefCell;
use std::rc::Rc;

use aws_lc_rs::digest::{Context, SHA256};
use hashbrown::HashMap;
use httparse::Header;

use crate::end::End;
use crate::limits::TOKENS_KEPT;
use crate::proto::authorization;
use crate::wall::jwt::{Jwt, Verified};
use crate::worker::shard::Shard;

/// Tokens this core has verified.
#[derive(Default)]
pub struct Tokens(RefCell<Known>);

#[derive(Default)]
struct Known {
    young: HashMap<[u8; 32], Entry>,
    old: HashMap<[u8; 32], Entry>,
}

struct Entry {
    /// Of the keys that it was verified with.
    keys: u64,
    verified: Rc<Verified>,
}

impl Tokens {
    fn find(&self, token: &[u8; 32], keys: u64, now_s: u64) -> Option<Rc<Verified>> {
        let known = &mut *self.0.borrow_mut();
        let good = |entry: &&Entry| entry.keys == keys && now_s < entry.verified.until_s;
        if let Some(entry) = known.young.get(token).filter(good) {
            return Some(entry.verified.clone());
        }
        let entry = known.old.remove(token).filter(|entry| good(&entry))?;
        let verified = entry.verified.clone();
        known.keep(*token, entry);
        Some(verified)
    }

    fn keep(&self, token: [u8; 32], keys: u64, verified: &Rc<Verified>) {
        self.0.borrow_mut().keep(token, Entry { keys, verified: verified.clone() });
    }
}

impl Known {
    fn keep(&mut self, token: [u8; 32], entry: Entry) {
        if self.young.len() >= TOKENS_KEPT / 2 {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(token, entry);
    }
}

/// The token that a request bears, verified; none where it bears none and need not.
///
/// # Errors
/// `End::TokenMissing`, `End::KeysMissing`, and those of [`crate::wall::jwt::Rules::verify`].
pub fn ask(shard: &Shard, jwt: &Jwt, fields: &[Header<'_>]) -> Result<Option<Rc<Verified>>, End> {
    let Some(token) = authorization::of_scheme(fields, "Bearer") else {
        return if jwt.rules.required { Err(End::TokenMissing) } else { Ok(None) };
    };
    let place = jwt.place.look();
    let keys = place.as_ref().ok_or(End::KeysMissing)?;
    let now_s = shard.clock.unix_s();
    let name = name(jwt.print, token);
    if let Some(verified) = shard.tokens.find(&name, keys.print(), now_s) {
        return Ok(Some(verified));
    }
    let verified = Rc::new(jwt.rules.verify(token, keys, now_s)?);
    shard.tokens.keep(name, keys.print(), &verified);
    Ok(Some(verified))
}

/// What a token is known by: itself, and the rules it was held against.
fn name(rules: u64, token: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&rules.to_le_bytes());
    context.update(token);
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(until_s: u64) -> Rc<Verified> {
        Rc::new(Verified { until_s, subject: "a".into(), edits: [].into() })
    }

    fn token(number: usize) -> [u8; 32] {
        name(0, &number.to_le_bytes())
    }

    #[test]
    fn a_token_is_known_until_it_expires_or_its_keys_change() {
        let tokens = Tokens::default();
        tokens.keep(token(1), 7, &verified(100));
        assert!(tokens.find(&token(1), 7, 99).is_some());
        assert!(tokens.find(&token(1), 7, 100).is_none());
        assert!(tokens.find(&token(1), 8, 99).is_none());
        assert!(tokens.find(&token(2), 7, 99).is_none());
        assert_ne!(name(1, b"token"), name(2, b"token"));
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_used() {
        let tokens = Tokens::default();
        tokens.keep(token(0), 7, &verified(100));
        for number in 1..10 * TOKENS_KEPT {
            tokens.keep(token(number), 7, &verified(100));
            assert!(tokens.find(&token(0), 7, 1).is_some(), "after {number}");
        }
        let known = tokens.0.borrow();
        assert!(known.young.len() + known.old.len() <= TOKENS_KEPT);
        assert!(!known.young.contains_key(&token(1)) && !known.old.contains_key(&token(1)));
    }
}
