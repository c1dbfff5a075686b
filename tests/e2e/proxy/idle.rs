//! Waiting costs nothing: no state of a connection spins.

use std::thread;
use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin, Service, eventually};

const SPAN: Duration = Duration::from_secs(3);

fn mute() -> Origin {
    Origin::scripted(|peer| {
        while let Some(head) = peer.head() {
            match head.word(1) {
                "/quick" => drop(peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
                "/half" => drop(peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")),
                "/large" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n");
                    let piece = vec![b'x'; 1024 * 1024];
                    while peer.send(&piece) {}
                }
                "/tunnel" => {
                    peer.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
                }
                _ => {}
            }
        }
    })
}

/// Clients in every state in which a gateway waits.
fn waiting(gateway: &Gateway) -> Vec<Client> {
    let asks = [
        "",
        "GET /svc/a HT",
        "GET /svc/wait HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /svc/wait HTTP/1.1\r\nHost: a\r\n\r\nGET /svc/next HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /svc/half HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /svc/large HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /svc/quick HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /svc/wait HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        "POST /svc/wait HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST /svc/wait HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        "GET /svc/tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /narrow/wait HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /narrow/wait HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let clients = asks.iter().flat_map(|ask| [(ask, false), (ask, true)]).map(|(ask, half_closed)| {
        let mut client = gateway.connect();
        client.send(ask);
        // One of each has closed its sending half: its end of input must not be read again and again.
        if half_closed {
            client.wire.finish();
        }
        client
    });
    clients.collect()
}

#[test]
fn connections_that_wait_take_no_time() {
    let origin = mute();
    let narrow = Service::at("/narrow", &[&origin]).balance("connections_max", 1).balance("queue_timeout", 30_000);
    let gateway = Gateway::start(&Conf::of(&origin).service(narrow).http("half_close_grace", 30_000).cores(2));
    let clients = waiting(&gateway);
    assert!(eventually(|| origin.heads().len() > 10), "{}", origin.heads().len());
    thread::sleep(Duration::from_secs(2));
    let before = gateway.processor_time();
    thread::sleep(SPAN);
    let taken = gateway.processor_time() - before;
    assert!(taken < SPAN / 10, "{taken:?} of {SPAN:?} while every connection waits");
    drop(clients);
}

#[test]
fn a_gateway_without_connections_takes_no_time() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    gateway.connect().get("/svc/a");
    thread::sleep(Duration::from_secs(1));
    let before = gateway.processor_time();
    thread::sleep(SPAN);
    let taken = gateway.processor_time() - before;
    assert!(taken < SPAN / 10, "{taken:?} of {SPAN:?} without a connection");
}
