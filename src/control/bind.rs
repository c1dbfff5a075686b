//! Opening listening sockets: a SO_REUSEPORT group on one address.
//!
//! With SO_REUSEPORT a second process would bind silently and take half the connections, so the address is
//! first bound without it: taken is a fault then. Out of scope: which there are (`state::doors`), accepting (the
//! workers).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::state::Opening;
use crate::config::Admin;
use crate::limits::{BIND_PATIENCE_MS, LISTEN_BACKLOG};
use crate::wall::listen::{Entrance, Listen};

/// The listening sockets of one address.
#[derive(Debug)]
pub struct Group {
    /// What they are for.
    pub listen: Listen,
    /// The sockets, non-blocking, at least one.
    pub sockets: Vec<TcpListener>,
}

impl Group {
    /// Where they listen: the port is the kernel's choice where the file says 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.sockets.first().and_then(|socket| socket.local_addr().ok()).unwrap_or(self.listen.address)
    }
}

/// Opens `count` sockets on an address. `beside_own`: sockets of this process, soon to be closed, are in the way.
///
/// # Errors
/// When the address is taken or cannot be bound, in words for the user.
pub fn open(listen: &Listen, beside_own: bool, count: usize) -> Result<Group, String> {
    match group(listen.address, listen.any, beside_own, count) {
        Ok(sockets) => Ok(Group { listen: listen.clone(), sockets }),
        Err(error) => Err(format!("cannot listen on {}: {}", listen.address, explain(&error, &listen.entrance))),
    }
}

/// Listeners that are to be opened.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// For workers.
    pub(crate) listeners: Vec<Opening>,
    /// For whoever watches.
    pub(crate) admin: Option<Admin>,
}

/// Listeners that are open.
#[derive(Debug, Default)]
pub struct Opened {
    /// For workers.
    pub groups: Vec<Group>,
    /// For whoever watches.
    pub admin: Option<TcpListener>,
}

/// Opens the admin listener. One at its default address is done without where another process is there: that must not
/// keep a second gateway of the same machine from serving.
///
/// # Errors
/// When it cannot be opened, in words for the user.
pub fn open_admin(admin: &Admin) -> Result<Option<TcpListener>, String> {
    let address = admin.address;
    let alone = || try_out(address, false);
    let opened = if admin.given { patiently(alone) } else { alone() }.and_then(|address| one_more(address, false));
    match opened {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if !admin.given => {
            tracing::warn!("there is no admin listener: {address} is its default, and: {error}; give [admin] an addr");
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(format!(
            "cannot listen on {address}: another process listens there; stop it, or change `addr` of [admin] in base.toml"
        )),
        Err(error) => Err(format!("cannot listen on {address}: {error}; it is `addr` of [admin] in base.toml")),
    }
}

/// Opens all of these, or none.
///
/// # Errors
/// A line for each that cannot be opened.
pub(super) fn open_all(wanted: &Wanted, count: usize) -> Result<Opened, Vec<String>> {
    let mut faults = Vec::new();
    let mut opened = Vec::new();
    for Opening { listen, beside_own } in &wanted.listeners {
        match open(listen, *beside_own, count) {
            Ok(group) => opened.push(group),
            Err(fault) => faults.push(fault),
        }
    }
    let admin = wanted.admin.as_ref().map_or(Ok(None), open_admin).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    if faults.is_empty() { Ok(Opened { groups: opened, admin }) } else { Err(faults) }
}

fn explain(error: &io::Error, entrance: &Entrance) -> String {
    let key = match entrance {
        Entrance::Http => "`addr` of [http] in base.toml".to_owned(),
        Entrance::Tcp { service } => format!("`frontend_addr` of `{service}` in the module file"),
    };
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("another process listens there; stop it, or change {key}"),
        io::ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 need the capability to bind them, or change {key}")
        }
        io::ErrorKind::AddrNotAvailable => format!("{error}: no interface has this address; change {key}"),
        _ => format!("{error}; it is {key}"),
    }
}

/// A group of listening sockets on one address. An address of any IPv6 interface takes IPv4 too where `dual`, and is
/// IPv4 only on a machine without IPv6.
fn group(address: SocketAddr, dual: bool, beside_own: bool, count: usize) -> io::Result<Vec<TcpListener>> {
    match bind_group(address, dual, beside_own, count) {
        Err(error) if dual && no_ipv6(&error) => {
            bind_group((Ipv4Addr::UNSPECIFIED, address.port()).into(), false, beside_own, count)
        }
        bound => bound,
    }
}

fn bind_group(address: SocketAddr, dual: bool, beside_own: bool, count: usize) -> io::Result<Vec<TcpListener>> {
    // Listening is what makes a taken address fail; the trial socket is closed before the group is made.
    let mut address = if beside_own { address } else { patiently(|| try_out(address, dual))? };
    (0..count)
        .map(|_| {
            let socket = one_more(address, dual)?;
            // The others of the group join the first where the kernel chose the port.
            address = socket.local_addr()?;
            Ok(socket)
        })
        .collect()
}

/// One more socket of a group.
pub(super) fn one_more(address: SocketAddr, dual: bool) -> io::Result<TcpListener> {
    let socket = socket(address, dual, true)?;
    prepare(&socket)?;
    Ok(socket.into())
}

/// Makes a bound socket a listening one, as workers want it.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    // Accepted sockets inherit it, which spares a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.listen(LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)
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
        let group_one = group("127.0.0.1:0".parse().unwrap(), false, false, 3).unwrap();
        let address = group_one[0].local_addr().unwrap();
        assert!(group_one.iter().all(|listener| listener.local_addr().unwrap() == address));
        let refused = group(address, false, false, 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_address_that_cannot_be_listened_on_is_told_with_its_key() {
        let told = |entrance| {
            // Kept for documentation (RFC 5737): no interface has it.
            let listen = Listen { address: "192.0.2.1:1".parse().unwrap(), any: false, entrance };
            open(&listen, false, 1).unwrap_err()
        };
        assert!(told(Entrance::Http).ends_with("change `addr` of [http] in base.toml"));
        let tcp = told(Entrance::Tcp { service: "line".into() });
        assert!(tcp.ends_with("change `frontend_addr` of `line` in the module file"), "{tcp}");
    }

    #[test]
    fn sockets_of_our_own_that_are_in_the_way_are_joined() {
        let any = group("[::]:0".parse().unwrap(), true, false, 1).unwrap();
        let one = SocketAddr::from((Ipv4Addr::LOCALHOST, any[0].local_addr().unwrap().port()));
        assert_eq!(group(one, false, true, 2).unwrap().len(), 2);
    }

    #[test]
    fn any_address_takes_ipv4_too() {
        let listeners = group("[::]:0".parse().unwrap(), true, false, 1).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
