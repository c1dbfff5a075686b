//! The PROXY protocol, versions 1 and 2: a connection's first bytes that name the client behind a proxy.
//!
//! As specified in HAProxy's proxy-protocol.txt (2020/03/05). In scope: reading both versions, strictly and within a
//! bound, and writing both. Out of scope: from whom a header is believed (`worker::accept::tcp`).

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// Begins version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Begins version 1.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its end.
const LINE_BYTES_MAX: usize = 107;
/// Signature, version and command, family, length.
const BLOCK_BYTES_MIN: usize = 16;

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How long it is.
    pub bytes: usize,
    /// The client; `None` where the header leaves that to the connection itself (health checks, unknown families).
    pub source: Option<SocketAddr>,
}

/// The first bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the header that a connection begins with. `None` while it is incomplete.
///
/// # Errors
/// `Malformed` as soon as the bytes cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let begins = |word: &[u8]| bytes.iter().zip(word).all(|(a, b)| a == b);
    if begins(SIGNATURE) {
        parse_block(bytes)
    } else if begins(WORD) {
        parse_line(bytes)
    } else {
        Err(Malformed)
    }
}

fn parse_line(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\r', window) else {
        return if window.len() < LINE_BYTES_MAX { Ok(None) } else { Err(Malformed) };
    };
    match bytes.get(end + 1) {
        None if end + 2 <= LINE_BYTES_MAX => return Ok(None),
        Some(b'\n') if end + 2 <= LINE_BYTES_MAX => {}
        _ => return Err(Malformed),
    }
    let rest = bytes.get(WORD.len()..end).ok_or(Malformed)?;
    let rest = std::str::from_utf8(rest).map_err(|_| Malformed)?;
    let mut words = rest.split(' ');
    let source = match words.next() {
        // What follows UNKNOWN is to be ignored.
        Some("UNKNOWN") => return Ok(Some(Header { bytes: end + 2, source: None })),
        Some("TCP4") => line_addresses::<Ipv4Addr>(&mut words)?,
        Some("TCP6") => line_addresses::<Ipv6Addr>(&mut words)?,
        _ => return Err(Malformed),
    };
    if words.next().is_some() {
        return Err(Malformed);
    }
    Ok(Some(Header { bytes: end + 2, source: Some(source) }))
}

/// Source and destination addresses, source and destination ports; gives the source.
fn line_addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Malformed> {
    let source: A = words.next().and_then(|word| word.parse().ok()).ok_or(Malformed)?;
    let _destination: A = words.next().and_then(|word| word.parse().ok()).ok_or(Malformed)?;
    let port = words.next().and_then(port).ok_or(Malformed)?;
    let _destination = words.next().and_then(self::port).ok_or(Malformed)?;
    Ok(SocketAddr::new(source.into(), port))
}

/// Digits without a leading zero.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok()).flatten()
}

fn parse_block(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(fixed) = bytes.get(SIGNATURE.len()..BLOCK_BYTES_MIN) else { return Ok(None) };
    let (version, command) = (fixed[0] >> 4, fixed[0] & 0x0f);
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let whole = BLOCK_BYTES_MIN + length;
    if version != 2 || command > 1 || whole > PROXY_HEADER_BYTES_MAX {
        return Err(Malformed);
    }
    let Some(body) = bytes.get(BLOCK_BYTES_MIN..whole) else { return Ok(None) };
    if command == 0 {
        // LOCAL: the proxy itself speaks; families and addresses are to be ignored.
        return Ok(Some(Header { bytes: whole, source: None }));
    }
    let (source, rest) = match fixed[1] {
        0x11 => block_addresses::<4>(body)?,
        0x21 => block_addresses::<16>(body)?,
        0x00 | 0x31 => return Ok(Some(Header { bytes: whole, source: None })),
        // Datagrams do not come in by a listener of streams; all else is not assigned.
        _ => return Err(Malformed),
    };
    values_fit(rest)?;
    Ok(Some(Header { bytes: whole, source: Some(source) }))
}

/// The source of a block with addresses of `N` bytes, and what follows both addresses and ports.
fn block_addresses<const N: usize>(body: &[u8]) -> Result<(SocketAddr, &[u8]), Malformed> {
    let (addresses, rest) = body.split_at_checked(2 * N + 4).ok_or(Malformed)?;
    let ip = match N {
        4 => IpAddr::from(<[u8; 4]>::try_from(&addresses[..4]).map_err(|_| Malformed)?),
        _ => IpAddr::from(<[u8; 16]>::try_from(&addresses[..16]).map_err(|_| Malformed)?),
    };
    let port = u16::from_be_bytes([addresses[2 * N], addresses[2 * N + 1]]);
    Ok((SocketAddr::new(ip, port), rest))
}

/// Type, length, value, one after another, to the last byte. Their meaning is not used.
fn values_fit(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(3).ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        rest = after.get(length..).ok_or(Malformed)?;
    }
    Ok(())
}

/// Both addresses in one family; one of each becomes IPv6, the IPv4 one mapped.
fn one_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let as_v6 = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        v6 => v6,
    };
    let (from, to) = if from.is_ipv4() == to.is_ipv4() { (from, to) } else { (as_v6(from), as_v6(to)) };
    (SocketAddr::new(from, source.port()), SocketAddr::new(to, destination.port()))
}

/// Appends the line of version 1.
pub fn put_v1(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) {
    let (from, to) = one_family(source, destination);
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    // Writing to a vector does not fail.
    let _ = write!(out, "PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port());
}

/// Appends the block of version 2.
pub fn put_v2(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) {
    let (from, to) = one_family(source, destination);
    out.extend_from_slice(SIGNATURE);
    out.push(0x21);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x11, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            out.extend_from_slice(&[0x21, 0, 36]);
            out.extend_from_slice(&octets(from));
            out.extend_from_slice(&octets(to));
        }
    }
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn read(bytes: &[u8]) -> Option<SocketAddr> {
        parse(bytes).unwrap().unwrap().source
    }

    #[test]
    fn the_lines_of_the_specification_are_read() {
        let line = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nGET";
        let header = parse(line).unwrap().unwrap();
        assert_eq!(header, Header { bytes: line.len() - 3, source: Some(address("255.255.255.255:65535")) });
        assert_eq!(read(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), Some(address("[2001:db8::1]:1")));
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(read(b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), None);
    }

    #[test]
    fn a_line_that_is_not_exactly_one_is_malformed() {
        let lines: &[&[u8]] = &[
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
            b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX",
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY \r\n",
            b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"GET / HTTP/1.1\r\n",
        ];
        for line in lines {
            assert_eq!(parse(line), Err(Malformed), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_line_longer_than_107_bytes_is_malformed() {
        let line = |length: usize| [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; length - 16], b"\r\n".to_vec()].concat();
        assert_eq!(read(&line(107)), None);
        assert_eq!(parse(&line(108)), Err(Malformed));
        assert_eq!(parse(&line(300)[..107]), Err(Malformed), "without waiting for its end");
    }

    fn block(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, body].concat()
    }

    #[test]
    fn a_block_with_values_after_its_addresses_is_read() {
        let body = [&[10, 0, 0, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80][..], &[0x04, 0, 2, 9, 9]].concat();
        let block = block(0x21, 0x11, &body);
        assert_eq!(read(&block), Some(address("10.0.0.7:12345")));
        assert_eq!(parse(&block).unwrap().unwrap().bytes, block.len());
    }

    #[test]
    fn a_block_that_names_nobody_leaves_the_address_to_the_connection() {
        assert_eq!(read(&block(0x20, 0x11, &[1; 12])), None, "LOCAL");
        assert_eq!(read(&block(0x20, 0xff, &[])), None, "LOCAL of any family");
        assert_eq!(read(&block(0x21, 0x00, &[1; 7])), None, "unspecified");
        assert_eq!(read(&block(0x21, 0x31, &[1; 216])), None, "Unix");
    }

    #[test]
    fn a_block_that_does_not_hold_what_it_says_is_malformed() {
        let wrong = [
            block(0x11, 0x11, &[1; 12]),
            block(0x22, 0x11, &[1; 12]),
            block(0x21, 0x12, &[1; 12]),
            block(0x21, 0x11, &[1; 11]),
            block(0x21, 0x21, &[1; 35]),
            block(0x21, 0x11, &[[1; 12].as_slice(), &[4, 0]].concat()),
            block(0x21, 0x11, &[[1; 12].as_slice(), &[4, 0, 2, 9]].concat()),
            block(0x21, 0x11, &vec![0; PROXY_HEADER_BYTES_MAX]),
        ];
        for block in wrong {
            assert_eq!(parse(&block), Err(Malformed), "{block:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_at_every_split(from: SocketAddr, to: SocketAddr, v2: bool) {
            let mut out = Vec::new();
            if v2 { put_v2(&mut out, from, to) } else { put_v1(&mut out, from, to) }
            for split in 0..out.len() {
                prop_assert_eq!(parse(&out[..split]), Ok(None));
            }
            let header = parse(&out).unwrap().unwrap();
            prop_assert_eq!(header.bytes, out.len());
            let source = header.source.unwrap();
            prop_assert_eq!((source.ip().to_canonical(), source.port()), (from.ip().to_canonical(), from.port()));
        }

        #[test]
        fn no_bytes_make_it_panic(tail: Vec<u8>, kind in 0..3) {
            let head: &[u8] = [&SIGNATURE[..], WORD, b""][kind as usize];
            let _ = parse(&[head, &tail].concat());
        }
    }
}
