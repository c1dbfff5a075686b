//! `host`, `method` and `conditions` of a table → what a request must fulfil.

use super::Desk;
use super::address::Wrong;
use crate::proto::authority::is_authority;
use crate::wall::condition::Condition;
use crate::wall::routes::{Demands, Host, Methods};

/// The demands of a rule.
pub(super) fn demands(desk: &mut Desk<'_>) -> Demands {
    let hosts = desk.each("host", host).into();
    let names = desk.each("method", |text| method(text).map(str::to_owned));
    let methods = Methods::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    Demands { hosts, methods, conditions: conditions(desk) }
}

/// The conditions of any table that has some.
pub(super) fn conditions(desk: &mut Desk<'_>) -> Box<[Condition]> {
    let mut taken = Vec::new();
    for item in desk.items("conditions") {
        match Condition::parse(&item.text) {
            Ok(condition) => taken.push(condition),
            Err(message) => desk.faults.error(desk.source, item.at, message, ""),
        }
    }
    taken.into()
}

fn host(text: &str) -> Result<Host, Wrong> {
    const HELP: &str = "write a name such as api.example.com, or *.example.com, without a port";
    let wrong = || (format!("`{text}` is no host"), HELP);
    let lower = text.to_ascii_lowercase();
    let (name, below) = lower.strip_prefix("*.").map_or((&*lower, false), |name| (name, true));
    let name = name.strip_suffix('.').unwrap_or(name);
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = !name.is_empty() && name.bytes().all(letters) && name.split('.').all(|label| !label.is_empty());
    let is_address = !below && name.starts_with('[') && name.ends_with(']') && is_authority(name.as_bytes());
    match below {
        _ if !(is_name || is_address) => Err(wrong()),
        true => Ok(Host::Below(format!(".{name}").into_bytes().into())),
        false => Ok(Host::Name(name.as_bytes().into())),
    }
}

fn method(text: &str) -> Result<&str, Wrong> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match text {
        "CONNECT" | "TRACE" => Err((format!("`{text}` is refused before rules are asked"), "")),
        _ if text.is_empty() || !text.bytes().all(token) => Err((format!("`{text}` is no method"), "")),
        _ if text.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            Err((format!("`{text}` is not in capitals, and methods have case"), "write GET, POST and so on"))
        }
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_wildcards_or_addresses() {
        assert_eq!(host("API.example.com").expect("a host").to_string(), "api.example.com");
        assert_eq!(host("*.example.com.").expect("a host").to_string(), "*.example.com");
        assert_eq!(host("10.0.0.1").expect("a host").to_string(), "10.0.0.1");
        assert_eq!(host("[::1]").expect("a host").to_string(), "[::1]");
        for text in ["", "*", "a..b", ".a", "a:80", "[::1]:80", "*.*.a", "a*.b", "a/b", "::1", "*.[::1]"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn methods_are_tokens_in_capitals() {
        assert!(method("GET").is_ok() && method("PURGE").is_ok() && method("M-SEARCH").is_ok());
        assert!(method("get").is_err() && method("").is_err() && method("A B").is_err() && method("TRACE").is_err());
    }
}
