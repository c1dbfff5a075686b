//! The `Authorization` field (RFC 9110 section 11.6.2): finding a scheme, and the forms of the three that are read here.
//!
//! `Gatekeeper-HMAC-SHA256` is a tenant's signature over its request, `Bearer` a token (RFC 6750), `Basic` a name and a
//! secret (RFC 7617). In scope: their syntax. Out of scope: whether what they say is true (`wall/signing`, `wall/jwt`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::Header;

use super::hex;

/// The name of the field.
pub const FIELD: &[u8] = b"authorization";
/// The scheme of a signed request, and the first line of what is signed.
pub const SIGNED: &str = "Gatekeeper-HMAC-SHA256";
/// A nonce is no longer.
pub const NONCE_BYTES_MAX: usize = 64;

/// The credentials of this scheme. A request with several such fields has none: which one holds would be a guess.
#[must_use]
pub fn of_scheme<'h>(fields: &'h [Header<'h>], scheme: &str) -> Option<&'h [u8]> {
    let mut found = fields.iter().filter(|field| field.name.as_bytes().eq_ignore_ascii_case(FIELD));
    let (field, None) = (found.next()?, found.next()) else { return None };
    let (named, rest) = field.value.split_at_checked(scheme.len())?;
    let credentials = rest.strip_prefix(b" ")?.trim_ascii();
    (named.eq_ignore_ascii_case(scheme.as_bytes()) && !credentials.is_empty()).then_some(credentials)
}

/// What a signed request says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'h> {
    /// The tenant.
    pub app_id: &'h [u8],
    /// When it was signed, in seconds since 1970; the digits as they were sent are signed.
    pub timestamp: &'h [u8],
    /// The same as a number.
    pub timestamp_s: u64,
    /// What makes it unlike every other.
    pub nonce: &'h [u8],
    /// SHA-256 of the body, as it was sent: hexadecimal digits.
    pub body: [u8; 32],
    /// The signature.
    pub sign: [u8; 32],
}

impl<'h> Signed<'h> {
    /// Reads `app_id=…, timestamp=…, nonce=…, body=…, sign=…`: each once, in any order, no other.
    #[must_use]
    pub fn parse(credentials: &'h [u8]) -> Option<Self> {
        let names: [&[u8]; 5] = [b"app_id", b"timestamp", b"nonce", b"body", b"sign"];
        let mut values = [None; 5];
        for part in credentials.split(|byte| *byte == b',') {
            let part = part.trim_ascii();
            let end = memchr::memchr(b'=', part)?;
            let place = names.iter().position(|name| *name == &part[..end])?;
            if values[place].replace(&part[end + 1..]).is_some() {
                return None;
            }
        }
        let [Some(app_id), Some(timestamp), Some(nonce), Some(body), Some(sign)] = values else { return None };
        let named = !app_id.is_empty() && (1..=NONCE_BYTES_MAX).contains(&nonce.len());
        let plain = nonce.iter().all(u8::is_ascii_graphic);
        let timestamp_s = std::str::from_utf8(timestamp).ok()?.parse().ok()?;
        let signed = Self { app_id, timestamp, timestamp_s, nonce, body: digest(body)?, sign: digest(sign)? };
        (named && plain).then_some(signed)
    }
}

/// 32 bytes from 64 hexadecimal digits of either case.
fn digest(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// The hexadecimal digits of 32 bytes.
#[must_use]
pub fn hexadecimal(bytes: &[u8; 32]) -> [u8; 64] {
    let mut digits = [0; 64];
    hex::put(&mut digits, bytes);
    digits
}

/// Name and secret of Basic credentials. A name has no colon, a secret may.
#[must_use]
pub fn basic(credentials: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut name = STANDARD.decode(credentials).ok()?;
    let colon = memchr::memchr(b':', &name)?;
    let secret = name.split_off(colon + 1);
    name.pop();
    Some((name, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn text(parts: &[&str]) -> Vec<u8> {
        parts.join(", ").replace("HEX", DIGITS).into_bytes()
    }

    const WHOLE: [&str; 5] = ["app_id=shop", "timestamp=1700000000", "nonce=n-1", "body=HEX", "sign=HEX"];

    #[test]
    fn a_signature_is_read_in_any_order() {
        let mut parts = WHOLE;
        for _ in 0..5 {
            parts.rotate_left(1);
            let text = text(&parts);
            let signed = Signed::parse(&text).unwrap();
            assert_eq!((signed.app_id, signed.timestamp_s, signed.nonce), (&b"shop"[..], 1_700_000_000, &b"n-1"[..]));
            assert_eq!(hexadecimal(&signed.sign).to_ascii_uppercase(), DIGITS.to_ascii_uppercase().into_bytes());
        }
    }

    #[test]
    fn what_is_missing_repeated_or_unknown_is_no_signature() {
        for left_out in 0..5 {
            let mut parts = WHOLE.to_vec();
            parts.remove(left_out);
            assert_eq!(Signed::parse(&text(&parts)), None, "without {left_out}");
            parts.insert(0, WHOLE[(left_out + 1) % 5]);
            assert_eq!(Signed::parse(&text(&parts)), None, "repeated instead of {left_out}");
        }
        for further in ["x=1", "", "sign", "app_id=other"] {
            assert_eq!(Signed::parse(&text(&[&WHOLE[..], &[further]].concat())), None, "{further}");
        }
        for (place, wrong) in [(1, "timestamp=-1"), (1, "timestamp=1.5"), (2, "nonce="), (3, "body=00"), (4, "sign=zz")]
        {
            let mut parts = WHOLE;
            parts[place] = wrong;
            assert_eq!(Signed::parse(&text(&parts)), None, "{wrong}");
        }
    }

    #[test]
    fn of_several_fields_none_holds() {
        let field = |value: &'static [u8]| Header { name: "AUTHORIZATION", value };
        let (one, other) = (field(b"bearer  abc"), field(b"Bearer x"));
        assert_eq!(of_scheme(&[one], "Bearer"), Some(&b"abc"[..]));
        assert_eq!(of_scheme(&[one], "Basic"), None);
        assert_eq!(of_scheme(&[one, other], "Bearer"), None);
        assert_eq!(of_scheme(&[field(b"Bearer")], "Bearer"), None);
        assert_eq!(of_scheme(&[field(b"Bearerabc")], "Bearer"), None);
    }

    #[test]
    fn a_secret_may_have_a_colon() {
        assert_eq!(basic(b"YTpiOmM="), Some((b"a".to_vec(), b"b:c".to_vec())));
        assert_eq!(basic(b"YWJj"), None);
        assert_eq!(basic(b"!"), None);
    }
}
