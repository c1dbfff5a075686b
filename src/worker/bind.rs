//! The listening sockets: one per worker, a SO_REUSEPORT group on one address.
//!
//! With SO_REUSEPORT a second process would bind silently and take half the connections, so the address is
//! first bound without it: taken is a fault then. Out of scope: accepting (`accept`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::{BIND_PATIENCE_MS, LISTEN_BACKLOG};

/// A group of listening sockets on one address, as many as there are workers. An address of any IPv6
/// interface takes IPv4 too where `dual`, and is IPv4 only on a machine without IPv6.
///
/// # Errors
/// When the address is taken or cannot be bound.
pub fn group(address: SocketAddr, dual: bool, count: usize) -> io::Result<Vec<TcpListener>> {
    match bind_group(address, dual, count) {
        Err(error) if dual && no_ipv6(&error) => {
            bind_group((Ipv4Addr::UNSPECIFIED, address.port()).into(), false, count)
        }
        bound => bound,
    }
}

fn bind_group(address: SocketAddr, dual: bool, count: usize) -> io::Result<Vec<TcpListener>> {
    // Listening is what makes a taken address fail; the trial socket is closed before the group is made.
    let address = patiently(|| try_out(address, dual))?;
    (0..count).map(|_| one_more(address, dual)).collect()
}

/// One more socket of a group that listens already.
///
/// # Errors
/// When the group is another user's or not one that can be joined, or the address cannot be bound.
pub fn one_more(address: SocketAddr, dual: bool) -> io::Result<TcpListener> {
    let socket = socket(address, dual, true)?;
    // Accepted sockets inherit it, which spares a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Listens alone for a moment; gives the address with its port.
fn try_out(address: SocketAddr, dual: bool) -> io::Result<SocketAddr> {
    let trial = socket(address, dual, false)?;
    trial.listen(1)?;
    Ok(trial.local_addr()?.as_socket().unwrap_or(address))
}

/// Tries again while the address is taken: the kernel lets go of a process's rings, and of the sockets they
/// wait on, some time after the process has ended, so a restart meets its predecessor's listeners.
fn patiently<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let until = Instant::now() + Duration::from_millis(BIND_PATIENCE_MS);
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            tried => return tried,
        }
    }
}

fn socket(address: SocketAddr, dual: bool, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_shares_its_port_and_a_second_group_is_refused() {
        let group_one = group("127.0.0.1:0".parse().unwrap(), false, 3).unwrap();
        let address = group_one[0].local_addr().unwrap();
        assert!(group_one.iter().all(|listener| listener.local_addr().unwrap() == address));
        let refused = group(address, false, 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn any_address_takes_ipv4_too() {
        let listeners = group("[::]:0".parse().unwrap(), true, 1).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
