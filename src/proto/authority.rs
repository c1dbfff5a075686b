//! The authority of a request: `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section 3.2).
//!
//! In scope: whether a text is one certain authority. Stricter than the grammar on purpose: no
//! userinfo, no escapes, no sub-delims (a comma would be a list), no empty host, no empty port, no zone.
//! Out of scope: which authority a request has (`framing`).

use std::net::Ipv6Addr;

/// Whether the text is a host with an optional port.
#[must_use]
pub fn is_authority(text: &[u8]) -> bool {
    if let [b'[', rest @ ..] = text {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        return is_ipv6(&rest[..end]) && is_port_suffix(&rest[end + 1..]);
    }
    let end = text.iter().position(|&byte| !HOST[usize::from(byte)]).unwrap_or(text.len());
    end > 0 && is_port_suffix(&text[end..])
}

/// Whether the text is a host with a port, as `CONNECT` demands (RFC 9112 section 3.2.3).
#[must_use]
pub fn has_port(text: &[u8]) -> bool {
    is_authority(text) && text.last().is_some_and(u8::is_ascii_digit) && {
        let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        text.len() > digits && text[text.len() - digits - 1] == b':'
    }
}

/// Unreserved characters of RFC 3986 section 2.3.
static HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

fn is_ipv6(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, or a colon and a port from 1 to 65535 without leading zeros.
fn is_port_suffix(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', first @ b'1'..=b'9', rest @ ..] if rest.len() < 5 => {
            let first = Some(u32::from(first - b'0'));
            let port = rest.iter().fold(first, |port, byte| {
                byte.is_ascii_digit().then_some(port? * 10 + u32::from(byte.wrapping_sub(b'0')))
            });
            port.is_some_and(|port| port <= 65_535)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_addresses_and_ports_are_authorities() {
        for text in ["a", "example.com", "example.com:80", "127.0.0.1:8081", "[::1]", "[2001:db8::1]:443", "a_b.c~d"] {
            assert!(is_authority(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn anything_uncertain_is_no_authority() {
        for text in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:4294967376",
            "a:99999999999999999999",
            "a:x",
            "a:80:80",
            "a,b",
            "u@a",
            "a/b",
            "a b",
            "a%41",
            "[::1",
            "[::1]x",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "::1",
            "a\\b",
            "a?b",
            "\u{e4}",
        ] {
            assert!(!is_authority(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn connect_needs_a_port() {
        assert!(has_port(b"a:443") && has_port(b"[::1]:443"));
        assert!(!has_port(b"a") && !has_port(b"[::1]") && !has_port(b"127.0.0.1"));
    }
}
