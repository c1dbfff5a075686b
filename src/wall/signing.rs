//! A tenant's signature over a request: what is signed, and whether it is right.
//!
//! HMAC-SHA256 (RFC 2104) with the tenant's secret over eight lines that end in a line feed but for the last: the
//! scheme, `app_id`, timestamp, nonce, method, path, query and the SHA-256 of the body in lower-case hexadecimal digits;
//! all as they stand in the request, path and query before anything is normalised. So the secret never leaves the
//! tenant, and what was signed is sent once, unchanged, within the window. Out of scope: where the words stand
//! (`proto::authorization`), which nonces were spent (`wall::nonces`).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

use super::secret;
use crate::end::End;
use crate::proto::authorization::{SIGNED, Signed, hexadecimal};

/// From reading a configuration until every worker goes by it, at most.
const LAG_S: u64 = 60;

/// How one tenant signs.
#[derive(Clone)]
pub struct Signing {
    key: Key,
    /// How far a timestamp may be from now, either way.
    window_s: u64,
    /// What was signed before the window was widened.
    earlier: Option<Earlier>,
}

/// Signatures whose nonces may have been spent, and forgotten, by a narrower window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Earlier {
    /// Their timestamps, up to this one.
    until_s: u64,
    /// How far these may be from now.
    window_s: u64,
}

/// Two are the same configuration when they allow the same; the key follows from the tenant's secret, which is compared
/// beside this.
impl PartialEq for Signing {
    fn eq(&self, other: &Self) -> bool {
        self.window_s == other.window_s
    }
}

impl Eq for Signing {}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("window_s", &self.window_s).finish_non_exhaustive()
    }
}

/// A signed request, as far as its head tells.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'r> {
    /// What it says of itself.
    pub signed: Signed<'r>,
    /// Its method.
    pub method: &'r [u8],
    /// Its path, as it stands in the request line.
    pub path: &'r [u8],
    /// Its query without the question mark.
    pub query: Option<&'r [u8]>,
    /// The time.
    pub now_s: u64,
}

impl Signing {
    /// Signatures with this secret, no older or newer than this.
    #[must_use]
    pub fn new(secret: &[u8], window_s: u64) -> Self {
        Self { key: Key::new(HMAC_SHA256, secret), window_s, earlier: None }
    }

    /// Follows the tenant's configuration before, as of now. Its nonces are remembered for its window only, so a wider one
    /// holds for what is signed from now on: for timestamps that it did not let in yet.
    pub fn go_on(&mut self, before: &Self, now_s: u64) {
        // Until the last of its timestamps is out of every window that would let it in.
        let window_s = before.window_s.min(self.window_s);
        let still = before.earlier.filter(|earlier| now_s <= earlier.until_s.saturating_add(window_s));
        let narrower = before.window_s < self.window_s;
        let widened =
            narrower.then_some(Earlier { until_s: now_s + before.window_s + LAG_S, window_s: before.window_s });
        self.earlier = match (widened, still) {
            (Some(now), Some(still)) => Some(Earlier { window_s: still.window_s.min(now.window_s), ..now }),
            (widened, still) => widened.or(still),
        };
    }

    /// How far this timestamp may be from now.
    fn window_s(&self, timestamp_s: u64) -> u64 {
        let earlier = self.earlier.filter(|earlier| timestamp_s <= earlier.until_s);
        earlier.map_or(self.window_s, |earlier| earlier.window_s.min(self.window_s))
    }

    /// Whether the head is signed with the secret, and was a short while ago. Whether its body is the one that was signed
    /// is another question ([`is_body`]).
    ///
    /// # Errors
    /// `End::SignExpired`, `End::TenantSign`.
    pub fn check(&self, request: &Signable<'_>) -> Result<(), End> {
        let Signable { signed, method, path, query, now_s } = request;
        if signed.timestamp_s.abs_diff(*now_s) > self.window_s(signed.timestamp_s) {
            return Err(End::SignExpired);
        }
        let body = hexadecimal(&signed.body);
        let lines =
            [SIGNED.as_bytes(), signed.app_id, signed.timestamp, signed.nonce, method, path, query.unwrap_or_default()];
        let mut mac = hmac::Context::with_key(&self.key);
        for line in lines {
            mac.update(line);
            mac.update(b"\n");
        }
        mac.update(&body);
        if secret::matches(mac.sign().as_ref(), &signed.sign) { Ok(()) } else { Err(End::TenantSign) }
    }

    /// Stands for the nonce, and until when it must be remembered. Nobody without the secret can find another nonce, or
    /// another tenant's, that it stands for too.
    #[must_use]
    pub fn nonce(&self, signed: &Signed<'_>) -> (u64, u64) {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(b"nonce\n");
        mac.update(signed.app_id);
        mac.update(b"\n");
        mac.update(signed.nonce);
        let tag = mac.sign();
        let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
        (u64::from_le_bytes(first), signed.timestamp_s.saturating_add(self.window_s))
    }
}

/// Whether this is the body that was signed.
#[must_use]
pub fn is_body(signed: &Signed<'_>, body: &[u8]) -> bool {
    digest(&SHA256, body).as_ref() == signed.body
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_700_000_000;

    /// Made with `openssl dgst -sha256 -hmac s3cret` over the eight lines of the page on tenants.
    const SIGN: &str = "5df43650447a9ef3169be7da099057c201b0f602430f288dbd5ab6f9c22dffa9";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn text(sign: &str) -> String {
        format!("app_id=shop, timestamp={NOW_S}, nonce=n-1, body={EMPTY}, sign={sign}")
    }

    fn request<'r>(signed: Signed<'r>) -> Signable<'r> {
        Signable { signed, method: b"GET", path: b"/svc/a%20b", query: Some(b"x=1&y=2"), now_s: NOW_S }
    }

    #[test]
    fn the_published_vector_is_right_and_each_part_of_it_counts() {
        let text = text(SIGN);
        let signed = Signed::parse(text.as_bytes()).unwrap();
        let (right, wrong) = (request(signed), Err(End::TenantSign));
        let signing = Signing::new(b"s3cret", 300);
        assert_eq!(signing.check(&right), Ok(()));
        assert_eq!(signing.check(&Signable { method: b"POST", ..right }), wrong);
        assert_eq!(signing.check(&Signable { path: b"/svc/a b", ..right }), wrong);
        assert_eq!(signing.check(&Signable { query: None, ..right }), wrong);
        assert_eq!(signing.check(&request(Signed { app_id: b"shop2", ..signed })), wrong);
        assert_eq!(signing.check(&request(Signed { nonce: b"n-2", ..signed })), wrong);
        assert_eq!(signing.check(&request(Signed { timestamp: b"1700000001", ..signed })), wrong);
        assert_eq!(signing.check(&request(Signed { body: [0; 32], ..signed })), wrong);
        assert_eq!(Signing::new(b"s3cre", 300).check(&right), wrong);
    }

    #[test]
    fn a_signature_holds_within_its_window_only() {
        let text = text(SIGN);
        let right = request(Signed::parse(text.as_bytes()).unwrap());
        let signing = Signing::new(b"s3cret", 300);
        for (now_s, outcome) in [
            (NOW_S - 300, Ok(())),
            (NOW_S + 300, Ok(())),
            (NOW_S - 301, Err(End::SignExpired)),
            (NOW_S + 301, Err(End::SignExpired)),
        ] {
            assert_eq!(signing.check(&Signable { now_s, ..right }), outcome, "{now_s}");
        }
    }

    /// What the signing lets in at this time, of a request signed at `NOW_S`.
    fn lets_in(signing: &Signing, now_s: u64) -> bool {
        let text = text(SIGN);
        signing.check(&Signable { now_s, ..request(Signed::parse(text.as_bytes()).unwrap()) }).is_ok()
    }

    fn widened(from_s: u64, to_s: u64, at_s: u64) -> Signing {
        let mut signing = Signing::new(b"s3cret", to_s);
        signing.go_on(&Signing::new(b"s3cret", from_s), at_s);
        signing
    }

    #[test]
    fn a_wider_window_holds_for_what_is_signed_from_then_on() {
        // Signed before: by the window that its nonce was remembered for.
        let signing = widened(60, 300, NOW_S + 10);
        assert!(lets_in(&signing, NOW_S + 60) && !lets_in(&signing, NOW_S + 61));
        // By a clock that is ahead.
        let signing = widened(60, 300, NOW_S - 60);
        assert!(lets_in(&signing, NOW_S + 60) && !lets_in(&signing, NOW_S + 61));
        let signing = widened(60, 300, NOW_S - 60 - LAG_S - 1);
        assert!(lets_in(&signing, NOW_S + 300) && !lets_in(&signing, NOW_S + 301));
    }

    #[test]
    fn a_window_that_is_widened_twice_lets_nothing_in_again() {
        let mut signing = Signing::new(b"s3cret", 900);
        signing.go_on(&widened(60, 300, NOW_S + 10), NOW_S + 20);
        assert!(lets_in(&signing, NOW_S + 60) && !lets_in(&signing, NOW_S + 61));
        let mut signing = Signing::new(b"s3cret", 900);
        signing.go_on(&widened(60, 300, NOW_S - 600), NOW_S + 20);
        assert!(lets_in(&signing, NOW_S + 300) && !lets_in(&signing, NOW_S + 301));
    }

    #[test]
    fn a_reload_between_keeps_the_bound_and_a_narrower_window_holds_at_once() {
        let mut signing = Signing::new(b"s3cret", 300);
        signing.go_on(&widened(60, 300, NOW_S + 10), NOW_S + 20);
        assert!(!lets_in(&signing, NOW_S + 61));
        let mut signing = Signing::new(b"s3cret", 300);
        signing.go_on(&widened(60, 300, NOW_S - 60), NOW_S + LAG_S + 61);
        assert!(!lets_in(&signing, NOW_S + LAG_S + 61), "what the narrower window has forgotten");
        let mut signing = Signing::new(b"s3cret", 30);
        signing.go_on(&widened(60, 300, NOW_S + 10), NOW_S + 20);
        assert!(lets_in(&signing, NOW_S + 30) && !lets_in(&signing, NOW_S + 31));
    }

    #[test]
    fn a_nonce_is_the_tenants_own() {
        let text = text(SIGN);
        let signed = Signed::parse(text.as_bytes()).unwrap();
        let signing = Signing::new(b"s3cret", 300);
        assert_eq!(signing.nonce(&signed).1, NOW_S + 300);
        assert_ne!(signing.nonce(&signed).0, Signing::new(b"other", 300).nonce(&signed).0);
        assert_ne!(signing.nonce(&signed).0, signing.nonce(&Signed { app_id: b"x", ..signed }).0);
        assert_ne!(signing.nonce(&signed).0, signing.nonce(&Signed { nonce: b"x", ..signed }).0);
    }

    #[test]
    fn only_the_body_that_was_signed_matches() {
        let text = text(SIGN);
        let signed = Signed::parse(text.as_bytes()).unwrap();
        assert!(is_body(&signed, b"") && !is_body(&signed, b"x"));
    }
}
