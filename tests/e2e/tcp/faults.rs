//! A tunnel ends, on both sides, when its worker dies.

use super::{Server, connect, in_front_of};
use crate::support::{Gone, Origin, Service, eventually};
use crate::workers::{asking_for, fragile};

#[test]
fn tunnels_of_a_dead_worker_end_on_both_sides() {
    for fault in ["worker", "worker twice"] {
        let (gone, is_gone) = std::sync::mpsc::channel();
        let server = Server::scripted(move |mut wire| {
            let _ = wire.try_send(b"hello");
            let _ = gone.send(wire.rest().1);
        });
        let origin = Origin::ok();
        let (conf, port) = in_front_of(&server);
        let conf = conf.cores(1).service(Service::at("/svc", &[&origin]));
        let gateway = fragile(&conf);
        let mut client = connect(port);
        client.send(b"?");
        assert_eq!(client.wire.exactly(5).as_deref(), Ok(&b"hello"[..]));
        gateway.connect().send(asking_for(fault));
        assert_ne!(client.wire.rest().1, Gone::Silent, "{fault}: the client's side hangs");
        let servers_side = is_gone.recv_timeout(crate::support::PATIENCE);
        assert!(servers_side.is_ok_and(|gone| gone != Gone::Silent), "{fault}: the service's side hangs");
        assert!(eventually(|| gateway.stderr().contains("has been replaced")));
        assert_eq!(super::greeting(port, 5), "hello");
    }
}
