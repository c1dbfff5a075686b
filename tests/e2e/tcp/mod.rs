//! Services of load type tcp: who gets a tunnel, to which endpoint, by which listener.

mod admission;
#[cfg(debug_assertions)]
mod faults;
mod listeners;
mod proxy_header;
mod relay;
mod spread;
mod strategies;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::support::gateway::free_port;
use crate::support::wire::Wire;
use crate::support::{Client, Conf, Service};

/// A server of bytes: runs its script on every connection on which anything comes.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn scripted(script: impl Fn(Wire) + Send + Sync + 'static) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        listener.listen(1024).expect("a bound socket listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("an IP address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, script) = (connections.clone(), Arc::new(script));
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let (counted, script) = (counted.clone(), script.clone());
                thread::spawn(move || {
                    // A health check connects and says nothing.
                    let mut first = [std::mem::MaybeUninit::uninit(); 1];
                    if socket.peek(&mut first).is_ok_and(|bytes| bytes > 0) {
                        counted.fetch_add(1, Ordering::SeqCst);
                        script(Wire::new(socket));
                    }
                });
            }
        });
        Self { address, connections }
    }

    /// Sends its name, then everything back.
    fn named(name: &'static str) -> Self {
        Self::scripted(move |mut wire| {
            let _ = wire.try_send(name.as_bytes());
            while let Ok(bytes) = wire.exactly(1) {
                let _ = wire.try_send(&bytes);
            }
        })
    }

    /// Connections on which something came.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A tcp service that listens on this port.
fn tcp(name: &str, port: u16, servers: &[&Server]) -> Service {
    let nodes = servers.iter().map(|server| server.address.to_string()).collect();
    let service = Service::with_nodes(&format!("/{name}"), nodes).base("load_type", "tcp");
    service.base("frontend_addr", format!("127.0.0.1:{port}")).balance("check_method", "tcpchk")
}

/// A gateway in front of one server, and the port where its bytes come in.
fn in_front_of(server: &Server) -> (Conf, u16) {
    let port = free_port();
    (Conf::new().service(tcp("line", port, &[server])), port)
}

fn connect(port: u16) -> Client {
    Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Sends a byte and gives what answers.
fn greeting(port: u16, length: usize) -> String {
    let mut client = connect(port);
    client.send(b"?");
    String::from_utf8(client.wire.exactly(length).unwrap_or_default()).expect("text")
}
