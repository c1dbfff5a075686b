//! `Cookie` fields (RFC 6265 section 4.2): finding the value of one cookie.
//!
//! Names are compared as they are: cookies know no escapes and no case (RFC 6265 section 4.1.1). Out of scope:
//! validity, and answers' `Set-Cookie`.

use httparse::Header;

/// The value of the first cookie of this name, over all `Cookie` fields in their order, without the blanks around it.
#[must_use]
pub fn find<'h>(fields: &'h [Header<'h>], name: &[u8]) -> Option<&'h [u8]> {
    let cookies = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("cookie"));
    cookies.flat_map(|field| field.value.split(|&byte| byte == b';')).find_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
    })
}

/// Looks at the value of every cookie of this name.
pub fn each(fields: &[Header<'_>], name: &[u8], mut look: impl FnMut(&[u8])) {
    let cookies = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("cookie"));
    for pair in cookies.flat_map(|field| field.value.split(|&byte| byte == b';')) {
        if let Some(at) = memchr::memchr(b'=', pair).filter(|at| pair[..*at].trim_ascii() == name) {
            look(pair[at + 1..].trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str], name: &str) -> Option<String> {
        let header = |value: &&'static str| Header { name: "Cookie", value: value.as_bytes() };
        let values: Vec<&'static str> = values.iter().map(|value| &*value.to_string().leak()).collect();
        let fields: Vec<_> = values.iter().map(header).collect();
        find(&fields, name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let line = ["uid=17; theme=dark;lang = de ; empty="];
        assert_eq!(found(&line, "uid").as_deref(), Some("17"));
        assert_eq!(found(&line, "theme").as_deref(), Some("dark"));
        assert_eq!(found(&line, "lang").as_deref(), Some("de"));
        assert_eq!(found(&line, "empty").as_deref(), Some(""));
        assert_eq!(found(&line, "id"), None);
        assert_eq!(found(&line, "UID"), None);
        assert_eq!(found(&["uid"], "uid"), None);
    }

    #[test]
    fn the_first_of_several_counts_and_values_may_hold_equals_signs() {
        assert_eq!(found(&["a=1; a=2"], "a").as_deref(), Some("1"));
        assert_eq!(found(&["b=0", "a=x==; a=2"], "a").as_deref(), Some("x=="));
    }
}
