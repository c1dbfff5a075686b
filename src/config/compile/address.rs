//! Addresses as files write them: endpoints, the listener, name servers, single addresses.
//!
//! Names are checked for form and not resolved: that is control's work.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::proto::authority::is_authority;
use crate::wall::snapshot::Address;

/// What is wrong, and what to do.
pub(super) type Wrong = (String, &'static str);

/// One item of `ip_list`.
pub(super) fn endpoint(text: &str) -> Result<Address, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(text, path);
    }
    if text.contains("://") {
        return Err((format!("`{text}` is a URL"), "write only host:port"));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => return Ok(Address::Socket(address)),
        Ok(_) => return Err((format!("`{text}` has port 0"), "ports are 1 to 65535")),
        Err(_) => {}
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err((format!("`{text}` has no port"), "write [address]:port"));
    }
    let Some((name, port)) = text.rsplit_once(':') else {
        return Err((format!("`{text}` has no port"), "write host:port"));
    };
    let port = self::port(port).filter(|port| *port > 0);
    let port = port.ok_or_else(|| (format!("`{text}` has no port of 1 to 65535"), "write host:port"))?;
    if name.starts_with('[') || name.contains(':') {
        return Err((format!("`{name}` is not an IPv6 address"), "write [v6 address]:port"));
    }
    if !is_name(name) {
        return Err((format!("`{name}` is neither an IP address nor a host name"), ""));
    }
    Ok(Address::Name(name.into(), port))
}

fn unix(text: &str, path: &str) -> Result<Address, Wrong> {
    /// `sun_path` holds 108 bytes with the final zero.
    const PATH_BYTES_MAX: usize = 107;
    if !path.starts_with('/') {
        return Err((format!("`{text}` is not an absolute path"), "write unix:/path/to/socket"));
    }
    if path.len() > PATH_BYTES_MAX || path.contains('\0') {
        return Err((format!("`{path}` is too long for a Unix socket"), "107 bytes at most"));
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

/// Digits only: `u16::from_str` would take `+80`.
fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// RFC 1123 section 2.1, with `_` as many private zones use it; a name of digits only would be a
/// mistyped IPv4 address.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        letters && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && !last_is_number
}

/// `http.addr`: the address, and whether it was written without one.
pub(super) fn listen(text: &str) -> Result<(SocketAddr, bool), Wrong> {
    const HELP: &str = "write :port, 1.2.3.4:port or [v6 address]:port";
    if let Some(digits) = text.strip_prefix(':') {
        let port = port(digits).ok_or_else(|| (format!("`{digits}` is not a port"), HELP))?;
        return Ok((SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), true));
    }
    let address = text.parse().map_err(|_| (format!("`{text}` is not an address with a port"), HELP))?;
    Ok((address, false))
}

/// One of `[dns] servers`.
pub(super) fn name_server(text: &str) -> Result<SocketAddr, Wrong> {
    const DNS_PORT: u16 = 53;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::from((address, DNS_PORT)));
    }
    text.parse().map_err(|_| (format!("`{text}` is not the address of a name server"), "write ip or ip:port"))
}

/// One address without a port.
pub(super) fn single(text: &str) -> Result<IpAddr, Wrong> {
    text.parse::<IpAddr>()
        .map(|address| address.to_canonical())
        .map_err(|_| (format!("`{text}` is not an IP address"), "write addresses without port or mask"))
}

/// A `Host` to send.
pub(super) fn host(text: &str) -> Result<Box<[u8]>, Wrong> {
    if is_authority(text.as_bytes()) {
        return Ok(text.as_bytes().into());
    }
    Err((format!("`{text}` cannot be sent as Host"), "write a name or an address, with or without :port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_every_form_are_taken() {
        let socket = |text: &str| Address::Socket(text.parse().expect("address"));
        assert_eq!(endpoint("127.0.0.1:80"), Ok(socket("127.0.0.1:80")));
        assert_eq!(endpoint("[::1]:80"), Ok(socket("[::1]:80")));
        assert_eq!(endpoint("orders.svc:8080"), Ok(Address::Name("orders.svc".into(), 8080)));
        assert_eq!(endpoint("a_b:1"), Ok(Address::Name("a_b".into(), 1)));
        assert_eq!(endpoint("unix:/run/a.sock"), Ok(Address::Unix("/run/a.sock".into())));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        let wrong = [
            "",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:+80",
            "300.1.1.1:80",
            "::1",
            "::1:80x",
            "[::1]",
            "[::g]:80",
            "a b:80",
            "-a:80",
            "a..b:80",
            ":80",
            "http://a:80",
            "unix:relative",
            "1.2.3:80",
            "\u{e9}:80",
        ];
        for text in wrong {
            assert!(endpoint(text).is_err(), "{text}: {:?}", endpoint(text));
        }
    }

    #[test]
    fn a_listener_without_an_address_takes_every_family() {
        assert_eq!(listen(":8081"), Ok(("[::]:8081".parse().expect("address"), true)));
        assert_eq!(listen("127.0.0.1:1"), Ok(("127.0.0.1:1".parse().expect("address"), false)));
        assert!(listen("8081").is_err() && listen("localhost:80").is_err() && listen(":x").is_err());
    }

    #[test]
    fn a_host_is_an_authority() {
        for good in ["a.example", "a:80", "[::1]:80", "[::1]", "127.0.0.1"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["a b", "a/b", "http://a", "a:", "a:x", "u@a", "a,b", "\u{e9}", ":80"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
