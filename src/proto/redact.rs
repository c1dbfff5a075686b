//! Leaving secrets out of what is written down: targets and URLs without the values that let somebody in.
//!
//! In scope: the values of query parameters of certain names, and a user's name and password before `@`. Names are
//! compared decoded, without regard to case, `-`, `_` and `.`, because who reads them decodes them too and spells them in all
//! these ways. Out of scope: fields
//! (`Authorization` and cookies are never copied to a log) and bodies (nor are they).

use super::form::{decoded, halves};

/// Names of parameters whose values are secrets, in lower case; each stands for every spelling of it: `api_key` for
/// `apikey`, `api-key` and `apiKey` too.
pub const SECRETS: &[&str] = &[
    "sign",
    "signature",
    "sig",
    "app_sign",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "session_token",
    "security_token",
    "bearer",
    "csrf_token",
    "authorization",
    "auth",
    "password",
    "passwd",
    "pwd",
    "pass",
    "secret",
    "client_secret",
    "client_assertion",
    "app_secret",
    "secret_key",
    "api_key",
    "x_api_key",
    "app_key",
    "access_key",
    "private_key",
    "jwt",
    "session",
    "session_id",
    "sid",
    "credential",
    "credentials",
    "assertion",
    "otp",
    "code_verifier",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

/// What stands where a secret stood.
pub const REDACTED: &[u8] = b"***";

/// Appends a target or URL without its secrets: the values of the parameters named in `SECRETS` and in `also` (lower
/// case), in the query and in the fragment, and what stands before `@` in an authority.
pub fn target(text: &[u8], also: &[Box<str>], out: &mut Vec<u8>) {
    let at = memchr::memchr2(b'?', b'#', text).unwrap_or(text.len());
    let (address, mut rest) = text.split_at(at);
    without_user(address, out);
    while let Some((mark, after)) = rest.split_first() {
        out.push(*mark);
        let end = memchr::memchr2(b'?', b'#', after).unwrap_or(after.len());
        pairs(&after[..end], also, out);
        rest = &after[end..];
    }
}

/// Whether a text that was cut off may begin with the user and password of an address, whose `@` is gone with the rest.
#[must_use]
pub fn may_hide_a_user(text: &[u8]) -> bool {
    let authority = memchr::memmem::find(text, b"//").map(|at| &text[at + 2..]);
    authority.is_some_and(|authority| memchr::memchr3(b'/', b'?', b'#', authority).is_none())
}

/// Appends pairs divided by `&` or `;`.
fn pairs(text: &[u8], also: &[Box<str>], out: &mut Vec<u8>) {
    for pair in text.split_inclusive(|byte| matches!(byte, b'&' | b';')) {
        let (pair, end) = match pair.split_last() {
            Some((last @ (b'&' | b';'), pair)) => (pair, Some(*last)),
            _ => (pair, None),
        };
        let (name, value) = halves(pair);
        if !value.is_empty() && is_secret(name, also) {
            out.extend_from_slice(name);
            out.push(b'=');
            out.extend_from_slice(REDACTED);
        } else {
            out.extend_from_slice(pair);
        }
        out.extend(end);
    }
}

fn is_secret(name: &[u8], also: &[Box<str>]) -> bool {
    let names = SECRETS.iter().copied().chain(also.iter().map(|name| &**name));
    let counts = |byte: &u8| !matches!(byte, b'-' | b'_' | b'.');
    let spelt = || decoded(name).filter(counts).map(|byte| byte.to_ascii_lowercase());
    let is = |secret: &str| spelt().eq(secret.bytes().filter(counts));
    names.into_iter().any(is)
}

/// Appends an address without the user and password of `scheme://user:password@host`.
fn without_user(address: &[u8], out: &mut Vec<u8>) {
    let start = memchr::memmem::find(address, b"//").map(|at| at + 2);
    let Some(start) = start.filter(|start| *start == 2 || address[..start - 2].ends_with(b":")) else {
        return out.extend_from_slice(address);
    };
    let end = memchr::memchr(b'/', &address[start..]).map_or(address.len(), |at| start + at);
    match memchr::memrchr(b'@', &address[start..end]) {
        Some(at) => {
            out.extend_from_slice(&address[..start]);
            out.extend_from_slice(REDACTED);
            out.extend_from_slice(&address[start + at..]);
        }
        None => out.extend_from_slice(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let mut out = Vec::new();
        target(text.as_bytes(), &["phone".into()], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_of_secret_parameters_are_left_out_wherever_they_stand() {
        assert_eq!(redacted("/a?app_id=shop&sign=s3cret&b=1"), "/a?app_id=shop&sign=***&b=1");
        assert_eq!(redacted("/a?token=1;password=2&x=3"), "/a?token=***;password=***&x=3");
        assert_eq!(redacted("/a?phone=123&Phone=4"), "/a?phone=***&Phone=***");
        assert_eq!(
            redacted("https://shop.test/back?q=1#access_token=abc&state=x"),
            "https://shop.test/back?q=1#access_token=***&state=x"
        );
        assert_eq!(redacted("/a?x=1?sign=2"), "/a?x=1?sign=***");
    }

    #[test]
    fn a_name_is_known_however_it_is_spelt() {
        assert_eq!(redacted("/a?SIGN=1&si%67n=2&Access%5FToken=3"), "/a?SIGN=***&si%67n=***&Access%5FToken=***");
        assert_eq!(redacted("/a?api-key=1&accessToken=2&api.key=3"), "/a?api-key=***&accessToken=***&api.key=***");
    }

    #[test]
    fn users_and_passwords_of_addresses_are_left_out() {
        assert_eq!(redacted("http://me:pw@host/path@x"), "http://***@host/path@x");
        assert_eq!(redacted("http://me@you@host"), "http://***@host");
        assert_eq!(redacted("//me:pw@host/"), "//***@host/");
        assert_eq!(redacted("/mail/a@b//c@d"), "/mail/a@b//c@d");
    }

    #[test]
    fn an_address_that_was_cut_may_have_begun_with_a_password() {
        assert!(may_hide_a_user(b"https://me:hunter2"));
        assert!(!may_hide_a_user(b"https://shop.test/a") && !may_hide_a_user(b"/a/b"));
    }

    #[test]
    fn all_else_stays_byte_for_byte() {
        for text in [
            "",
            "/",
            "*",
            "/a?",
            "/a?sign",
            "/a?sign=",
            "/a?signs=1&design=2",
            "/a?&&=&;#",
            "/sign=1/token=2",
            "host:443",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
