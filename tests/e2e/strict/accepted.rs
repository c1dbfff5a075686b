//! The other side of strictness: unusual messages that are right must pass, however they are split.

use std::thread;
use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin};

/// A message, and the method, target and body that the service must see.
struct Good {
    bytes: &'static str,
    seen: (&'static str, &'static str, &'static str),
}

const fn good(bytes: &'static str, method: &'static str, target: &'static str, body: &'static str) -> Good {
    Good { bytes, seen: (method, target, body) }
}

const GOOD: &[Good] = &[
    good("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a", ""),
    good("GET /svc/a HTTP/1.1\r\nHost:a\r\n\r\n", "GET", "/a", ""),
    good("GET /svc/a HTTP/1.1\r\nhOsT: \t a \t \r\nX:\r\n\r\n", "GET", "/a", ""),
    good("GET /svc/a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET", "/a", ""),
    good("GET /svc/a?x=%0A&y=a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a?x=%0A&y=a%2Fb", ""),
    good("GET /svc/a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a?", ""),
    good("GET http://b:80/svc/a?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a?c", ""),
    good("GET HTTP://b/svc/a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a", ""),
    good("\r\nGET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a", ""),
    good("GET /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "GET", "/a", ""),
    good("GET /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "GET", "/a", "abc"),
    good("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length:3\r\n\r\nabc", "POST", "/a", "abc"),
    good("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: \t3 \r\n\r\n\r\n\r", "POST", "/a", "\r\n\r"),
    good(
        "POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST",
        "/a",
        "abc",
    ),
    good("POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST", "/a", ""),
    good(
        "POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         0000000000000002;a;b=c;d=\"e;\\\"f\"\r\n\r\n\r\n1\r\nx\r\n00;z\r\nX: y\r\nZ: w\r\n\r\n",
        "POST",
        "/a",
        "\r\nx",
    ),
    good("GET /svc/a HTTP/1.0\r\n\r\n", "GET", "/a", ""),
];

/// Sends a message split there, then one whose answer proves that the connection is in step.
fn passes(gateway: &Gateway, origin: &Origin, message: &Good, split: usize) -> Result<(), String> {
    let before = origin.requests().len();
    let (first, second) = message.bytes.as_bytes().split_at(split);
    let mut client = Client::connect(gateway.address());
    client.send(first);
    thread::sleep(Duration::from_micros(300));
    client.send(second);
    let status = client.try_answer().map(|answer| answer.status()).map_err(|cut| format!("{cut:?}"));
    let seen = origin.requests().split_off(before);
    let seen: Vec<_> = seen
        .iter()
        .map(|seen| {
            (seen.method().to_owned(), seen.target().to_owned(), crate::support::message::text(&seen.body.bytes))
        })
        .collect();
    let (method, target, body) = message.seen;
    if status == Ok(200) && seen == [(method.to_owned(), target.to_owned(), body.to_owned())] {
        return Ok(());
    }
    Err(format!("split {split} of {:?}: {status:?}, the service saw {seen:?}", message.bytes))
}

#[test]
fn unusual_messages_that_are_right_pass_wherever_they_are_split() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut faults = Vec::new();
    for message in GOOD {
        let all = 0..message.bytes.len();
        faults.extend(all.filter_map(|split| passes(&gateway, &origin, message, split).err()));
    }
    let shown: Vec<_> = faults.iter().take(30).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), shown.join("\n"));
}

/// The same for what a service sends: split anywhere, the client sees one answer.
#[test]
fn an_answer_passes_wherever_it_is_split() {
    let answers: [&str; 5] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n2\r\nbc\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.1 200\r\ncontent-length:3\r\n\r\nabc",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ];
    let origin = Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            let mut words = request.target().trim_start_matches('/').split('-').map(str::parse::<usize>);
            let (Some(Ok(which)), Some(Ok(at))) = (words.next(), words.next()) else { return };
            let (first, second) = answers[which].as_bytes().split_at(at);
            peer.send(first);
            thread::sleep(Duration::from_micros(300));
            peer.send(second);
        }
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    for (which, answer) in answers.iter().enumerate() {
        for at in 0..answer.len() {
            let received = client.get(&format!("/svc/{which}-{at}"));
            assert_eq!((received.status(), received.text()), (200, "abc".into()), "split {at} of {answer:?}");
        }
    }
    assert_eq!(origin.connections(), 1);
}
