//! Who a connection is from when a trusted proxy opened it: the PROXY protocol header it must begin with.
//!
//! Out of scope: the header's form (`proto::proxy_header`), forwarding fields of requests (`wall::forwarded`).

use std::net::SocketAddr;

use crate::end::End;
use crate::proto::proxy_header::parse;
use crate::worker::io::Received;
use crate::worker::session::downstream::Source;
use crate::worker::shard::buffer::Class;

/// The client that the header names, or the peer itself where it names none. What follows the header stays to be
/// read.
///
/// # Errors
/// `BadProxyHeader`, `HeadTimeout`, `ClientTruncated`.
pub async fn client(source: &mut Source, peer: SocketAddr, timeout_ms: u64) -> Result<SocketAddr, End> {
    source.reading.arm(timeout_ms);
    let mut lease = match source.next_in_time(Class::Small).await {
        Some(Received::Data(lease)) => lease,
        Some(Received::End | Received::Broken) => return Err(End::ClientTruncated),
        None => return Err(End::HeadTimeout),
    };
    loop {
        if let Some(header) = parse(lease.bytes()).map_err(|_| End::BadProxyHeader)? {
            lease.advance(header.bytes);
            source.put_back(lease);
            return Ok(header.source.unwrap_or(peer));
        }
        match source.next_in_time(Class::Small).await {
            Some(Received::Data(more)) => lease.append(more.bytes()),
            Some(Received::End | Received::Broken) => return Err(End::ClientTruncated),
            None => return Err(End::HeadTimeout),
        }
    }
}
