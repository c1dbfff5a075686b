//! Names, against a name server of our own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use super::house::{House, Origin, eventually};
use crate::wall::health::Verdict;

/// Answers every question with the addresses it has at the moment, TTL 1 s.
struct NameServer {
    address: SocketAddr,
    addresses: Arc<Mutex<Vec<IpAddr>>>,
}

impl NameServer {
    fn open(addresses: &[&str]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("port");
        let server = Self { address: socket.local_addr().expect("bound"), addresses: Arc::default() };
        server.set(addresses);
        let addresses = Arc::clone(&server.addresses);
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let _ = socket.send_to(&answer(&question[..length], &addresses.lock().expect("lock")), from);
            }
        });
        server
    }

    fn set(&self, addresses: &[&str]) {
        *self.addresses.lock().expect("lock") = addresses.iter().map(|text| text.parse().expect("address")).collect();
    }
}

/// RFC 1035 section 4: the header, the question as asked, one record per address of its type.
fn answer(question: &[u8], addresses: &[IpAddr]) -> Vec<u8> {
    let name_end = 12 + question[12..].iter().position(|&length| length == 0).expect("a name ends");
    let kind = question[name_end + 2];
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(v4), 1) => Some(v4.octets().to_vec()),
            (IpAddr::V6(v6), 28) => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let refused = if addresses.is_empty() { 3 } else { 0 };
    let mut message = question[..2].to_vec();
    message.extend([0x81, 0x80 | refused, 0, 1, 0, u8::try_from(records.len()).expect("few"), 0, 0, 0, 0]);
    message.extend(&question[12..name_end + 5]);
    for record in records {
        message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0, u8::try_from(record.len()).expect("short")]);
        message.extend(record);
    }
    message
}

fn addresses(house: &House, endpoint: u32) -> Vec<String> {
    house.workers[0].health(endpoint).addresses.iter().map(SocketAddr::to_string).collect()
}

fn config(server: &NameServer, lines: &str) -> String {
    format!("server {}\n{lines}", server.address)
}

#[test]
fn a_name_has_all_its_addresses_of_both_families() {
    let server = NameServer::open(&["127.0.0.9", "127.0.0.8", "::1"]);
    let house = House::open(1, &config(&server, "origin.test:80 tcp 60000 1000 1 1\n"));
    eventually("resolved", || addresses(&house, 0) == ["127.0.0.8:80", "127.0.0.9:80", "[::1]:80"]);
}

#[test]
fn changed_addresses_are_published_when_the_ttl_ends_and_probed_at_once() {
    let origin = Origin::open();
    let server = NameServer::open(&["127.0.0.77"]);
    let line = format!("origin.test:{} /ping 60000 1000 1 1\n", origin.address.port());
    let house = House::open(1, &config(&server, &line));
    house.workers[0].await_verdict(0, Verdict::Down);
    server.set(&["127.0.0.1"]);
    eventually("the new address", || addresses(&house, 0) == [origin.address.to_string()]);
    house.workers[0].await_verdict(0, Verdict::Up);
    let host = format!("\r\nhost: origin.test:{}\r\n", origin.address.port());
    assert!(origin.requests.lock().expect("lock")[0].to_ascii_lowercase().contains(&host));
}

#[test]
fn start_needs_no_answer_and_a_later_one_is_taken() {
    let origin = Origin::open();
    let server = NameServer::open(&[]);
    let line = format!("origin.test:{} tcp 50 1000 1 1\n", origin.address.port());
    let house = House::open(1, &config(&server, &line));
    house.workers[0].await_verdict(0, Verdict::Down);
    assert!(addresses(&house, 0).is_empty());
    server.set(&["127.0.0.1"]);
    house.workers[0].await_verdict(0, Verdict::Up);
}

#[test]
fn a_name_that_stops_resolving_keeps_its_last_addresses() {
    let origin = Origin::open();
    let server = NameServer::open(&["127.0.0.1"]);
    let line = format!("origin.test:{} tcp 50 1000 1 1\n", origin.address.port());
    let house = House::open(1, &config(&server, &line));
    house.workers[0].await_verdict(0, Verdict::Up);
    server.set(&[]);
    thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(addresses(&house, 0), [origin.address.to_string()]);
    assert_eq!(house.workers[0].health(0).verdict, Verdict::Up);
}

#[test]
fn localhost_needs_no_server() {
    let origin = Origin::open();
    let line = format!("server 127.0.0.1:1\nlocalhost:{} tcp 50 1000 1 1\n", origin.address.port());
    let house = House::open(1, &line);
    house.workers[0].await_verdict(0, Verdict::Up);
    let found = house.workers[0].health(0).addresses;
    assert!(found.contains(&SocketAddr::from((Ipv4Addr::LOCALHOST, origin.address.port()))), "{found:?}");
}

#[test]
fn other_servers_take_over_at_a_reload() {
    let (old, new) = (NameServer::open(&["127.0.0.2"]), NameServer::open(&["127.0.0.3"]));
    let line = "origin.test:80 tcp 60000 1000 1 1\n";
    let house = House::open(1, &config(&old, line));
    eventually("the old answer", || addresses(&house, 0) == ["127.0.0.2:80"]);
    house.write(&config(&new, line));
    house.workers[0].reload();
    eventually("the new answer", || addresses(&house, 0) == ["127.0.0.3:80"]);
}

#[test]
fn a_dead_address_is_left_out_while_another_is_up() {
    let origin = Origin::open();
    let server = NameServer::open(&["127.0.0.1", "127.0.0.77"]);
    let line = format!("origin.test:{} tcp 50 1000 1 1\n", origin.address.port());
    let house = House::open(1, &config(&server, &line));
    house.workers[0].await_verdict(0, Verdict::Up);
    thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(addresses(&house, 0), [origin.address.to_string()]);
}
