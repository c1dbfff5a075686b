//! Listening sockets that this process was given: by the process before it at an upgrade, or by a service manager.
//!
//! In scope: which of them serve an address of the configuration, and what is opened beside them. A socket that is
//! closed while connections wait in its queue resets them, so every one that serves an address is used, however
//! many workers there are. Out of scope: how they come (`inherited` of the program, `control::upgrade`), and
//! opening an address anew (`bind`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use socket2::{SockRef, Type};

use super::bind;
use crate::limits::LISTEN_BACKLOG;

/// Those that no address has claimed yet.
#[derive(Debug, Default)]
pub struct Given(Vec<OwnedFd>);

impl From<Vec<OwnedFd>> for Given {
    fn from(sockets: Vec<OwnedFd>) -> Self {
        Self(sockets)
    }
}

impl Given {
    /// The listening sockets of an address: those given, and further ones up to one for each worker. Where nothing was
    /// given they are opened anew. Where no further one can be opened there are fewer, and workers share them.
    ///
    /// # Errors
    /// When nothing was given and the address cannot be bound.
    pub fn group(&mut self, address: SocketAddr, dual: bool, workers: usize) -> io::Result<Vec<TcpListener>> {
        let mut group = self.claim(address, dual);
        if group.is_empty() && dual && address.ip().is_unspecified() {
            // What `bind` falls back to on a machine without IPv6.
            group = self.claim((Ipv4Addr::UNSPECIFIED, address.port()).into(), false);
        }
        let Some(first) = group.first() else { return bind::group(address, dual, workers) };
        let address = first.local_addr()?;
        while group.len() < workers {
            match bind::one_more(address, dual) {
                Ok(socket) => group.push(socket),
                Err(error) => {
                    let (sockets, all) = (group.len(), workers);
                    tracing::info!("{address}: {all} workers share {sockets} listening sockets: {error}");
                    break;
                }
            }
        }
        Ok(group)
    }

    /// Takes out those that listen there.
    fn claim(&mut self, address: SocketAddr, dual: bool) -> Vec<TcpListener> {
        let (claimed, left) = std::mem::take(&mut self.0).into_iter().partition(|socket| listens(socket, address, dual));
        self.0 = left;
        let prepare = |socket: OwnedFd| {
            let listener = TcpListener::from(socket);
            // A service manager's may lack what `bind` gives its own; where it cannot be had it is not missed.
            let socket = SockRef::from(&listener);
            let _ = socket.set_tcp_nodelay(true).and_then(|()| socket.listen(LISTEN_BACKLOG));
            listener
        };
        claimed.into_iter().map(prepare).collect()
    }

    /// Where those listen that nothing claimed; what is no TCP address has none.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<Option<SocketAddr>> {
        let of = |socket: &OwnedFd| SockRef::from(socket).local_addr().ok()?.as_socket();
        let mut all: Vec<_> = self.0.iter().map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn listens(socket: &OwnedFd, address: SocketAddr, dual: bool) -> bool {
    let socket = SockRef::from(socket);
    let there = socket.local_addr().is_ok_and(|local| local.as_socket() == Some(address));
    let stream = socket.r#type().is_ok_and(|kind| kind == Type::STREAM) && socket.is_listener().unwrap_or(false);
    // A socket of IPv6 alone is not one that takes IPv4 too.
    there && stream && (address.is_ipv4() || socket.only_v6().is_ok_and(|only| only != dual))
}

/// Deals sockets to workers: every socket to one, every worker at least one. Those that share one get a handle each.
///
/// # Errors
/// When the process is out of descriptors.
pub fn deal(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let count = sockets.len();
    let mut hands: Vec<Vec<TcpListener>> = Vec::new();
    hands.resize_with(workers, Vec::new);
    for worker in count..workers {
        hands[worker].push(sockets[worker % count].try_clone()?);
    }
    for (index, socket) in sockets.into_iter().enumerate() {
        hands[index % workers].push(socket);
    }
    Ok(hands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(address: &str) -> TcpListener {
        TcpListener::bind(address).expect("a free port")
    }

    fn given(listeners: &[&TcpListener]) -> Given {
        let copy = |listener: &&TcpListener| OwnedFd::from(listener.try_clone().expect("descriptors"));
        listeners.iter().map(copy).collect::<Vec<_>>().into()
    }

    #[test]
    fn what_listens_there_is_claimed_and_the_rest_is_told() {
        let (one, other) = (listening("127.0.0.1:0"), listening("127.0.0.1:0"));
        let (address, elsewhere) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut given = given(&[&one, &other]);
        given.0.push(datagrams.into());
        let group = given.group(address, false, 1).unwrap();
        assert_eq!(group.len(), 1);
        assert_eq!(group[0].local_addr().unwrap(), address);
        assert_eq!(given.unclaimed().iter().flatten().filter(|left| **left == elsewhere).count(), 1);
        assert_eq!(given.unclaimed().len(), 2);
    }

    #[test]
    fn every_socket_that_was_given_is_used_and_more_are_opened_for_more_workers() {
        let first = bind::group("127.0.0.1:0".parse().unwrap(), false, 4).unwrap();
        let address = first[0].local_addr().unwrap();
        let all: Vec<_> = first.iter().collect();
        assert_eq!(given(&all).group(address, false, 2).unwrap().len(), 4);
        let more = given(&all).group(address, false, 6).unwrap();
        assert_eq!(more.len(), 6);
        assert!(more.iter().all(|listener| listener.local_addr().unwrap() == address));
    }

    #[test]
    fn workers_share_a_socket_that_nobody_can_join() {
        // The standard library does not set SO_REUSEPORT.
        let alone = listening("127.0.0.1:0");
        let address = alone.local_addr().unwrap();
        let group = given(&[&alone]).group(address, false, 3).unwrap();
        assert_eq!(group.len(), 1);
        assert!(deal(group, 3).unwrap().iter().all(|hand| hand.len() == 1));
    }

    #[test]
    fn nothing_given_is_opened_anew() {
        assert_eq!(Given::default().group("127.0.0.1:0".parse().unwrap(), false, 3).unwrap().len(), 3);
    }

    #[test]
    fn ipv6_alone_is_not_what_takes_ipv4_too() {
        let dual = bind::group("[::]:0".parse().unwrap(), true, 1).unwrap();
        let address = dual[0].local_addr().unwrap();
        if address.is_ipv4() {
            return;
        }
        assert!(given(&[&dual[0]]).claim(address, false).is_empty());
        assert_eq!(given(&[&dual[0]]).claim(address, true).len(), 1);
    }

    #[test]
    fn sockets_are_dealt_so_that_none_is_left_and_nobody_goes_without() {
        for (sockets, workers) in [(4, 2), (2, 4), (3, 3), (1, 5), (5, 1), (5, 3)] {
            let group = bind::group("127.0.0.1:0".parse().unwrap(), false, sockets).unwrap();
            let hands: Vec<usize> = deal(group, workers).unwrap().iter().map(Vec::len).collect();
            assert_eq!(hands.len(), workers);
            assert_eq!(hands.iter().sum::<usize>(), sockets.max(workers));
            assert!(hands.iter().max().unwrap() - hands.iter().min().unwrap() <= 1, "{hands:?}");
        }
    }
}
