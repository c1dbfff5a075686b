//! What a field name means to an intermediary, and the character classes of RFC 9110 section 5.
//!
//! In scope: names to [`Kind`], tokens, values, optional white space. Out of scope: what follows from a
//! kind for one message (`survey`, `framing`) and for the one sent on (`forward`).

use super::scan;

/// What a field is to an intermediary. A closed list: a name that is none of ours is [`Kind::Plain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// End to end; passed on as received.
    Plain,
    /// End to end, and a client may not have it removed through `Connection`.
    Protected,
    /// Has an underscore, which CGI-like backends cannot tell from a hyphen.
    Underscore,
    /// Reads, with hyphens for underscores, like a field that this gateway sets or removes.
    Alias,
    /// Reads like `Content-Length` or `Transfer-Encoding` without being it.
    Confusable,
    /// Removed at each hop: `Proxy-Connection`, `HTTP2-Settings`, `Trailer`; and `Proxy`, which a CGI-like
    /// backend takes for the proxy it is to use itself (CVE-2016-5385).
    Hop,
    /// `Connection`.
    Connection,
    /// `Keep-Alive`.
    KeepAlive,
    /// `TE`.
    Te,
    /// `Upgrade`.
    Upgrade,
    /// `Host`.
    Host,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Content-Type`.
    ContentType,
    /// `Expect`.
    Expect,
    /// `Max-Forwards`.
    MaxForwards,
    /// `Via`.
    Via,
    /// `Date`.
    Date,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `X-Forwarded-Proto`.
    ForwardedProto,
    /// `X-Forwarded-Host`.
    ForwardedHost,
    /// `Forwarded` and every other `X-Forwarded-*`.
    Forwarded,
    /// `X-Real-IP`.
    RealIp,
    /// Set by this gateway alone: `X-Gatekeeper-*`, the request id and the tenant's group.
    Owned,
}

impl Kind {
    /// Whether a client that names such a field in `Connection` is refused: its removal would change
    /// routing, framing, identity or credentials (RFC 9110 section 7.6.1).
    #[must_use]
    pub const fn is_protected(self) -> bool {
        match self {
            Self::Protected
            | Self::Alias
            | Self::Confusable
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::MaxForwards
            | Self::Via
            | Self::ForwardedFor
            | Self::ForwardedProto
            | Self::ForwardedHost
            | Self::Forwarded
            | Self::RealIp
            | Self::Owned => true,
            Self::Plain
            | Self::Underscore
            | Self::Hop
            | Self::Connection
            | Self::KeepAlive
            | Self::Te
            | Self::Upgrade
            | Self::ContentType
            | Self::Expect
            | Self::Date => false,
        }
    }
}

/// The kind of a field name.
#[inline]
#[must_use]
pub fn classify(name: &str) -> Kind {
    match known(name.as_bytes()) {
        Kind::Plain | Kind::Protected if scan::has_underscore(name.as_bytes()) => underscored(name.as_bytes()),
        kind => kind,
    }
}

/// The kind of a name, underscores aside. Length and first letter rule out nearly every name.
#[inline]
fn known(name: &[u8]) -> Kind {
    let Some(first) = name.first() else { return Kind::Plain };
    match (name.len(), first | 0x20) {
        (2, b't') if is(name, b"te") => Kind::Te,
        (3, b'v') if is(name, b"via") => Kind::Via,
        (4, b'h') if is(name, b"host") => Kind::Host,
        (4, b'd') if is(name, b"date") => Kind::Date,
        (5, b'p') if is(name, b"proxy") => Kind::Hop,
        (6, b'e') if is(name, b"expect") => Kind::Expect,
        (6, b'c') if is(name, b"cookie") => Kind::Protected,
        (7, b'u') if is(name, b"upgrade") => Kind::Upgrade,
        (7, b't') if is(name, b"trailer") => Kind::Hop,
        (9, b'f') if is(name, b"forwarded") => Kind::Forwarded,
        (9, b'x') if is(name, b"x-real-ip") => Kind::RealIp,
        (10, b'c') if is(name, b"connection") => Kind::Connection,
        (10, b'k') if is(name, b"keep-alive") => Kind::KeepAlive,
        (12, b'c') if is(name, b"content-type") => Kind::ContentType,
        (12, b'm') if is(name, b"max-forwards") => Kind::MaxForwards,
        (13, b'a') if is(name, b"authorization") => Kind::Protected,
        (14, b'h') if is(name, b"http2-settings") => Kind::Hop,
        (14, b'c') => framing(name, b"content-length", Kind::ContentLength),
        (16, b'p') if is(name, b"proxy-connection") => Kind::Hop,
        (17, b't') => framing(name, b"transfer-encoding", Kind::TransferEncoding),
        (13.., b'x') => extension(name),
        (13.., b'd') => didi(name),
        _ => Kind::Plain,
    }
}

/// A framing name, or one that differs from it only in the separator: a backend that maps every
/// separator to `_` would take it for the real one.
fn framing<const N: usize>(name: &[u8], lower: &[u8; N], kind: Kind) -> Kind {
    if is(name, lower) {
        return kind;
    }
    let alike = name.iter().zip(lower).all(|(byte, want)| match want {
        b'-' => !byte.is_ascii_alphanumeric(),
        letter => byte | 0x20 == *letter,
    });
    if alike { Kind::Confusable } else { Kind::Plain }
}

/// GateKeeper's own fields. Those that it does not set itself pass, but not at a client's nomination.
fn didi(name: &[u8]) -> Kind {
    if !starts(name, b"didi-header-") {
        return Kind::Plain;
    }
    match &name[12..] {
        rest if is(rest, b"rid") || starts(rest, b"user") => Kind::Owned,
        _ => Kind::Protected,
    }
}

/// The extension fields of proxies, and of this gateway.
fn extension(name: &[u8]) -> Kind {
    if starts(name, b"x-gatekeeper-") {
        return Kind::Owned;
    }
    if !starts(name, b"x-forwarded-") {
        return Kind::Plain;
    }
    match &name[12..] {
        rest if is(rest, b"for") => Kind::ForwardedFor,
        rest if is(rest, b"proto") => Kind::ForwardedProto,
        rest if is(rest, b"host") => Kind::ForwardedHost,
        _ => Kind::Forwarded,
    }
}

/// The kind of a name that holds an underscore: what it would be with hyphens decides.
fn underscored(name: &[u8]) -> Kind {
    // No exact name reaches 32 bytes, and the families are known by their first 13.
    let mut folded = [b'-'; 32];
    let length = name.len().min(folded.len());
    for (to, &from) in folded.iter_mut().zip(name) {
        *to = if from == b'_' { b'-' } else { from };
    }
    match known(&folded[..length]) {
        Kind::Plain | Kind::Protected | Kind::ContentType | Kind::Date => Kind::Underscore,
        Kind::ContentLength | Kind::TransferEncoding | Kind::Confusable => Kind::Confusable,
        _ => Kind::Alias,
    }
}

/// Equality without case, for a `lower` of lower-case letters, digits and hyphens. Exact for names of
/// token characters, because none of those folds onto a letter, digit or hyphen by bit 5 but its own.
#[inline(always)]
pub(super) fn is<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    let mut difference = 0;
    for index in 0..N {
        difference |= (name[index] | 0x20) ^ lower[index];
    }
    difference == 0
}

#[inline]
fn starts<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    name.first_chunk::<N>().is_some_and(|first| is(first, lower))
}

const fn is_token_class(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
            | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_token_class(byte as u8);
        byte += 1;
    }
    table
};

/// `tchar` of RFC 9110 section 5.6.2.
#[inline]
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// A byte a field value may hold: HTAB, SP, VCHAR, obs-text (RFC 9110 section 5.5).
#[inline]
#[must_use]
pub const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Whether a rule may set, add or delete a field of this name. Not what frames a message, rules one hop, says who the
/// client is or is the gateway's own word.
#[must_use]
pub fn may_be_edited(name: &str) -> bool {
    match classify(name) {
        Kind::Plain | Kind::Protected | Kind::Underscore | Kind::ContentType => true,
        Kind::Alias
        | Kind::Confusable
        | Kind::Hop
        | Kind::Connection
        | Kind::KeepAlive
        | Kind::Te
        | Kind::Upgrade
        | Kind::Host
        | Kind::ContentLength
        | Kind::TransferEncoding
        | Kind::Expect
        | Kind::MaxForwards
        | Kind::Via
        | Kind::Date
        | Kind::ForwardedFor
        | Kind::ForwardedProto
        | Kind::ForwardedHost
        | Kind::Forwarded
        | Kind::RealIp
        | Kind::Owned => false,
    }
}

/// `token` of RFC 9110 section 5.6.2: one or more token characters.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// The text without the optional white space (SP, HTAB and nothing else) around it.
#[must_use]
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The elements of a comma-separated list (RFC 9110 section 5.6.1), trimmed, empty ones included.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// A decimal number as framing wants it: digits only, no leading zero, at most 2^63 - 1
/// (RFC 9110 section 8.6).
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if text.len() <= 19 && text.iter().all(u8::is_ascii_digit) => {
            let number = text.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
            (i64::try_from(number).is_ok()).then_some(number)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (name, kind) in [
            ("HOST", Kind::Host),
            ("tE", Kind::Te),
            ("Content-Length", Kind::ContentLength),
            ("TRANSFER-ENCODING", Kind::TransferEncoding),
            ("x-forwarded-FOR", Kind::ForwardedFor),
            ("X-Forwarded-Port", Kind::Forwarded),
            ("HTTP2-Settings", Kind::Hop),
            ("Didi-Header-Rid", Kind::Owned),
            ("didi-header-usergroupkey", Kind::Owned),
            ("didi-header-spanid", Kind::Protected),
            ("X-Gatekeeper-App", Kind::Owned),
            ("X-Request-Id", Kind::Plain),
            ("Accept", Kind::Plain),
            ("Hos\u{7f}", Kind::Plain),
        ] {
            assert_eq!(classify(name), kind, "{name}");
        }
    }

    #[test]
    fn names_that_read_like_framing_are_confusable() {
        for name in ["Transfer_Encoding", "transfer.encoding", "Content_Length", "CONTENT~LENGTH"] {
            assert_eq!(classify(name), Kind::Confusable, "{name}");
        }
        assert_eq!(classify("ContentXLength"), Kind::Plain);
    }

    #[test]
    fn underscore_names_that_read_like_ours_are_aliases() {
        for name in ["didi_header_usergroup", "X_Forwarded_For", "x_gatekeeper-app", "X-Real_IP", "Keep_Alive"] {
            assert_eq!(classify(name), Kind::Alias, "{name}");
        }
        let long = format!("x_forwarded_{}", "a".repeat(100));
        assert_eq!(classify(&long), Kind::Alias);
        assert_eq!(classify("my_field"), Kind::Underscore);
        assert_eq!(classify("didi-header-my_field"), Kind::Underscore);
    }

    #[test]
    fn decimal_is_digits_without_leading_zero_up_to_2_63() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in ["", "00", "05", "+5", "-5", "-0", "0x5", "1_0", "5 5", "5;", "1e1", "\"5\"", "9223372036854775808"]
        {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(decimal(b"18446744073709551617"), None);
    }

    #[test]
    fn obs_text_is_never_trimmed() {
        assert_eq!(trim(b" \t\x85a\xa0 "), b"\x85a\xa0");
    }
}
