//! Who the client is when trusted proxies stand in between.
//!
//! The rightmost address of `X-Forwarded-For` that is not itself a trusted proxy: what stands left of it
//! is anybody's claim. Only asked where the socket's peer is trusted. It stands here because the workers
//! decide by it and `config::explain` tells of it.

use std::net::IpAddr;

use ipnet::IpNet;

/// Fields by which a request shows that somebody relayed it.
pub const NAMES: [&str; 5] = ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-host"];

/// The client behind `peer`.
#[must_use]
pub fn client(peer: IpAddr, fields: &[httparse::Header<'_>], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = fields.iter().rev().filter(|field| field.name.eq_ignore_ascii_case("x-forwarded-for"));
    let claims = lines.flat_map(|field| field.value.rsplit(|byte| *byte == b','));
    let mut nearest = peer;
    for claim in claims {
        let Some(address) = address(claim) else { return nearest };
        nearest = address;
        if !is_trusted(&address) {
            return address;
        }
    }
    nearest
}

/// One element: an address, maybe with a port, maybe in brackets.
fn address(claim: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(claim.trim_ascii()).ok()?;
    let address = text.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(peer: &str, values: &[&str]) -> String {
        let fields: Vec<_> =
            values.iter().map(|value| httparse::Header { name: "X-Forwarded-For", value: value.as_bytes() }).collect();
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        client(peer.parse().unwrap(), &fields, &trusted).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        assert_eq!(asked("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        assert_eq!(asked("10.0.0.1", &["1.1.1.1, 198.51.100.7", "10.9.9.9"]), "198.51.100.7");
    }

    #[test]
    fn garbage_ends_the_search_at_the_last_address_believed() {
        assert_eq!(asked("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(asked("::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(asked("::1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(asked("::1", &["::ffff:192.0.2.9"]), "192.0.2.9");
        assert_eq!(asked("::1", &["192.0.2.9:8080"]), "192.0.2.9");
    }
}
