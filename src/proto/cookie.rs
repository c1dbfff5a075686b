//! Cookies of a request (RFC 6265 section 5.4): finding one by its name.
//!
//! In scope: that, in what a `Cookie` field holds. Out of scope: setting cookies, and which of them matters.

/// The value of the first cookie of this name; names are compared with case. Quotes are part of a value.
#[must_use]
pub fn find<'c>(field: &'c [u8], name: &[u8]) -> Option<&'c [u8]> {
    field.split(|byte| *byte == b';').find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name)?.trim_ascii_start();
        rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let field = b"sid2=x; sid=1=2;SID=y ; sid=3; empty=; \"q\"=\"v\"";
        assert_eq!(find(field, b"sid"), Some(&b"1=2"[..]));
        assert_eq!(find(field, b"SID"), Some(&b"y"[..]));
        assert_eq!(find(field, b"empty"), Some(&b""[..]));
        assert_eq!(find(field, b"si"), None);
        assert_eq!(find(b"sid", b"sid"), None);
    }
}
