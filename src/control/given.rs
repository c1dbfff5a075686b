//! Listening sockets that this process was given: by the process before it at an upgrade, or by a service manager.
//!
//! In scope: which of them serve an address of the configuration, and what is opened beside them. A socket that is
//! closed while connections wait in its queue resets them, so every one that serves an address is used, however
//! many workers there are. Out of scope: how they come (`inherited` of the program, `upgrade`), and opening an address
//! anew (`bind`).

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::fs::fstat;
use socket2::{SockRef, Socket, Type};

use super::bind::{self, Group};
use crate::config::Admin;
use crate::wall::listen::Listen;
use crate::wall::nonces::Nonces;

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
    /// given they are opened anew; where no further one can be opened, workers share what there is.
    ///
    /// # Errors
    /// When nothing was given and the address cannot be bound, in words for the user.
    pub fn group(&mut self, listen: &Listen, workers: usize) -> Result<Group, String> {
        let mut sockets = self.claim(listen.address, listen.any);
        if sockets.is_empty() && listen.any {
            // What `bind` falls back to on a machine without IPv6.
            sockets = self.claim((Ipv4Addr::UNSPECIFIED, listen.address.port()).into(), false);
        }
        if sockets.is_empty() {
            return bind::open(listen, false, workers);
        }
        join(&mut sockets, workers).map_err(|error| format!("cannot listen on {}: {error}", listen.address))?;
        Ok(Group { listen: listen.clone(), sockets })
    }

    /// The admin listener: the one given, or one that is opened.
    ///
    /// # Errors
    /// When it cannot be opened, in words for the user.
    pub fn admin(&mut self, admin: &Admin) -> Result<Option<TcpListener>, String> {
        match self.claim(admin.address, false).pop() {
            Some(given) => Ok(Some(given)),
            None => bind::open_admin(admin),
        }
    }

    /// The table of nonces, which the process before hands over with its sockets.
    pub fn nonces(&mut self) -> Option<Nonces> {
        let mut found = None;
        for descriptor in std::mem::take(&mut self.0) {
            match Nonces::take_over(descriptor) {
                Ok(table) => found = Some(table),
                Err(other) => self.0.push(other),
            }
        }
        found
    }

    /// Takes out those that listen there.
    fn claim(&mut self, address: SocketAddr, dual: bool) -> Vec<TcpListener> {
        let (claimed, left): (Vec<OwnedFd>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|socket| listens(socket, address, dual));
        self.0 = left;
        // Workers that share a socket have a handle each, and so come twice.
        let mut seen = HashSet::new();
        let once = claimed.into_iter().filter(|socket| fstat(socket).is_ok_and(|stat| seen.insert(stat.st_ino)));
        let prepared = |socket: OwnedFd| {
            let socket = Socket::from(socket);
            bind::prepare(&socket).ok()?;
            Some(socket.into())
        };
        once.filter_map(prepared).collect()
    }

    /// Where those listen that nothing claimed.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<String> {
        let name = |socket: &OwnedFd| match SockRef::from(socket).local_addr().ok().and_then(|local| local.as_socket())
        {
            Some(address) => address.to_string(),
            None => "a socket that is not TCP".to_owned(),
        };
        let mut all: Vec<_> = self.0.iter().map(name).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Adds sockets until there are as many as workers.
fn join(sockets: &mut Vec<TcpListener>, workers: usize) -> io::Result<()> {
    let given = sockets.len();
    let address = sockets[0].local_addr()?;
    let dual = address.is_ipv6() && !SockRef::from(&sockets[0]).only_v6()?;
    while sockets.len() < workers {
        match bind::one_more(address, dual) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                tracing::info!("{address}: {workers} workers share {} listening sockets: {error}", sockets.len());
                break;
            }
        }
    }
    for shared in sockets.len()..workers {
        sockets.push(sockets[shared % given].try_clone()?);
    }
    Ok(())
}

fn listens(socket: &OwnedFd, address: SocketAddr, dual: bool) -> bool {
    let socket = SockRef::from(socket);
    let there = socket.local_addr().is_ok_and(|local| local.as_socket() == Some(address));
    let stream = socket.r#type().is_ok_and(|kind| kind == Type::STREAM) && socket.is_listener().unwrap_or(false);
    // A socket of IPv6 alone is not one that takes IPv4 too.
    there && stream && (address.is_ipv4() || socket.only_v6().is_ok_and(|only| only != dual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::listen::Entrance;

    fn listening(address: &str) -> TcpListener {
        TcpListener::bind(address).expect("a free port")
    }

    fn given(listeners: &[&TcpListener]) -> Given {
        let copy = |listener: &&TcpListener| OwnedFd::from(listener.try_clone().expect("descriptors"));
        listeners.iter().map(copy).collect::<Vec<_>>().into()
    }

    fn at(address: SocketAddr, any: bool) -> Listen {
        Listen { address, any, entrance: Entrance::Http }
    }

    fn distinct(sockets: &[TcpListener]) -> usize {
        sockets.iter().map(|socket| fstat(socket).expect("a socket").st_ino).collect::<HashSet<_>>().len()
    }

    #[test]
    fn what_listens_there_is_claimed_and_the_rest_is_told() {
        let (one, other) = (listening("127.0.0.1:0"), listening("127.0.0.1:0"));
        let (address, elsewhere) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut given = given(&[&one, &other]);
        given.0.push(std::net::UdpSocket::bind(address).unwrap().into());
        given.0.push(std::os::unix::net::UnixDatagram::unbound().unwrap().into());
        let group = given.group(&at(address, false), 1).unwrap();
        assert_eq!((group.sockets.len(), group.address()), (1, address));
        let left = given.unclaimed();
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(left.contains(&elsewhere.to_string()), "{left:?}");
    }

    #[test]
    fn every_socket_that_was_given_is_used_and_more_are_opened_for_more_workers() {
        let first = bind::open(&at("127.0.0.1:0".parse().unwrap(), false), false, 4).unwrap();
        let listen = at(first.address(), false);
        let all: Vec<_> = first.sockets.iter().collect();
        assert_eq!(given(&all).group(&listen, 2).unwrap().sockets.len(), 4);
        let more = given(&all).group(&listen, 6).unwrap();
        assert_eq!((more.sockets.len(), distinct(&more.sockets)), (6, 6));
        assert!(more.sockets.iter().all(|socket| socket.local_addr().unwrap() == listen.address));
    }

    #[test]
    fn workers_share_a_socket_that_nobody_can_join() {
        // The standard library does not set SO_REUSEPORT.
        let alone = listening("127.0.0.1:0");
        let listen = at(alone.local_addr().unwrap(), false);
        let group = given(&[&alone]).group(&listen, 3).unwrap();
        assert_eq!((group.sockets.len(), distinct(&group.sockets)), (3, 1));
        // Handed on, the handles are one socket again.
        let all: Vec<_> = group.sockets.iter().collect();
        assert_eq!(given(&all).claim(listen.address, false).len(), 1);
    }

    #[test]
    fn what_was_given_is_made_as_workers_want_it() {
        let alone = listening("127.0.0.1:0");
        let listen = at(alone.local_addr().unwrap(), false);
        let group = given(&[&alone]).group(&listen, 1).unwrap();
        let error = group.sockets[0].accept().expect_err("nobody waits, and nobody is waited for");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn nothing_given_is_opened_anew() {
        let group = Given::default().group(&at("127.0.0.1:0".parse().unwrap(), false), 3).unwrap();
        assert_eq!(distinct(&group.sockets), 3);
    }

    #[test]
    fn ipv6_alone_is_not_what_takes_ipv4_too() {
        let dual = bind::open(&at("[::]:0".parse().unwrap(), true), false, 1).unwrap();
        let (address, sockets) = (dual.address(), dual.sockets);
        if address.is_ipv4() {
            assert!(std::env::var_os("GK_MUST").is_none(), "GK_MUST: IPv6");
            return;
        }
        assert!(given(&[&sockets[0]]).claim(address, false).is_empty());
        assert_eq!(given(&[&sockets[0]]).claim(address, true).len(), 1);
    }
}
