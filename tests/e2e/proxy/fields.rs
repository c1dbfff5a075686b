//! Header fields: what passes untouched, what is added, what is taken away.

use super::gate;
use crate::support::{Conf, Gateway, Origin};

/// The head that the origin saw of a GET with these extra lines, and the answer's status.
fn seen_with(conf: &Conf, origin: &Origin, lines: &str) -> crate::support::message::Head {
    let gateway = Gateway::start(conf);
    let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n{lines}\r\n"));
    assert_eq!(answer.status(), 200, "{answer:?}");
    origin.only().head
}

#[test]
fn end_to_end_fields_pass_in_order_and_untouched() {
    let origin = Origin::ok();
    let head = seen_with(
        &Conf::of(&origin),
        &origin,
        "X-A: 1\r\nAuthorization: Basic Zm9v\r\nx-a: 2\r\nCookie: a=1\r\nX-A: 3\r\nCookie: b=2\r\n",
    );
    assert_eq!(head.all("x-a"), ["1", "2", "3"]);
    assert_eq!(head.all("authorization"), ["Basic Zm9v"]);
    assert_eq!(head.all("cookie"), ["a=1", "b=2"]);
}

#[test]
fn bytes_above_ascii_pass_in_values() {
    let origin = Origin::replying(b"HTTP/1.1 200 OK\r\nX-Raw: \x85b\xA0\r\nContent-Length: 0\r\n\r\n".as_slice());
    let gateway = gate(&origin);
    let answer = gateway.connect().ask(b"GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nX-Raw: \x85a\xFF\xA0\r\n\r\n");
    assert_eq!(origin.only().head.field("x-raw"), Some("\u{85}a\u{ff}\u{a0}"));
    assert_eq!(answer.head.field("x-raw"), Some("\u{85}b\u{a0}"));
}

#[test]
fn answer_fields_pass_in_order_and_untouched() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-B: 1\r\nSet-Cookie: b=2\r\nWWW-Authenticate: Basic\r\n\
         X-B: 2\r\nServer: mine\r\nContent-Length: 0\r\n\r\n",
    );
    let gateway = gate(&origin);
    let head = gateway.connect().get("/svc/a").head;
    assert_eq!(head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(head.all("x-b"), ["1", "2"]);
    assert_eq!(head.all("www-authenticate"), ["Basic"]);
    assert_eq!(head.all("server"), ["mine"]);
}

#[test]
fn a_date_is_added_where_there_is_none() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let head = gateway.connect().get("/svc/a").head;
    let date = head.field("date").expect("a date");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
}

#[test]
fn a_date_of_the_service_stays() {
    let origin =
        Origin::replying("HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 0\r\n\r\n");
    let gateway = gate(&origin);
    let head = gateway.connect().get("/svc/a").head;
    assert_eq!(head.all("date"), ["Tue, 15 Nov 1994 08:12:31 GMT"]);
}

#[test]
fn fields_that_connection_names_are_not_passed_to_the_service() {
    let origin = Origin::ok();
    let head = seen_with(
        &Conf::of(&origin),
        &origin,
        "Connection: X-One, keep-alive\r\nX-One: 1\r\nX-Two: 2\r\nConnection: x-three\r\nX-Three: 3\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: keep-alive\r\nTE: gzip\r\n",
    );
    for name in ["x-one", "x-three", "keep-alive", "proxy-connection", "te"] {
        assert!(head.all(name).is_empty(), "{name} went on: {head:?}");
    }
    assert_eq!(head.all("x-two"), ["2"]);
    assert!(!head.lists("connection", "x-one"), "{head:?}");
}

#[test]
fn fields_that_connection_names_are_not_passed_to_the_client() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nConnection: X-One\r\nX-One: 1\r\nX-Two: 2\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
    );
    let gateway = gate(&origin);
    let head = gateway.connect().get("/svc/a").head;
    for name in ["x-one", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(head.all(name).is_empty(), "{name} went on: {head:?}");
    }
    assert_eq!(head.all("x-two"), ["2"]);
}

#[test]
fn connection_may_not_name_a_field_that_protects() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let protected = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Real-IP",
        "Forwarded",
        "Via",
        "didi-header-rid",
    ];
    for name in protected {
        let mut client = gateway.connect();
        let answer = client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nConnection: close, {name}\r\n\r\n"));
        answer.expect_end(400, "bad_nomination");
    }
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn te_goes_on_only_as_trailers() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin), &origin, "TE: gzip;q=0.5, deflate\r\nConnection: TE\r\n");
    assert!(head.all("te").iter().all(|te| *te == "trailers"), "{head:?}");
}

#[test]
fn fields_with_an_underscore_are_dropped() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin), &origin, "X_Under: 1\r\nX-Dash: 2\r\n");
    assert!(head.all("x_under").is_empty(), "{head:?}");
    assert_eq!(head.all("x-dash"), ["2"]);
}

#[test]
fn fields_with_an_underscore_pass_where_the_file_says_so() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin).http("underscore_fields", true), &origin, "X_Under: 1\r\n");
    assert_eq!(head.all("x_under"), ["1"]);
}

#[test]
fn a_name_that_becomes_a_framing_name_is_refused_even_then() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("underscore_fields", true));
    for line in ["Transfer_Encoding: chunked", "Content_Length: 5", "Content_length: 0"] {
        let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n{line}\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{line}: {answer:?}");
    }
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn a_request_id_is_made_and_passed_on() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.get("/svc/a");
    client.get("/svc/b");
    let ids: Vec<_> =
        origin.expect_requests(2).iter().map(|seen| seen.head.field("didi-header-rid").map(str::to_owned)).collect();
    assert!(ids[0].as_ref().is_some_and(|id| id.len() >= 16), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_clients_own_request_id_is_kept_when_it_is_reasonable() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.ask("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\ndidi-header-rid: my-own-id-1\r\n\r\n");
    let long = "x".repeat(65);
    client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\ndidi-header-rid: {long}\r\n\r\n"));
    let seen = origin.expect_requests(2);
    assert_eq!(seen[0].head.all("didi-header-rid"), ["my-own-id-1"]);
    assert_ne!(seen[1].head.field("didi-header-rid"), Some(long.as_str()));
    let refused = client.ask("GET /nowhere HTTP/1.1\r\nHost: gate.test\r\ndidi-header-rid: my-own-id-2\r\n\r\n");
    assert_eq!(refused.json()["trace_id"], "my-own-id-2");
}

#[test]
fn a_service_cannot_have_its_framing_removed() {
    for framing in ["Content-Length: 2\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"] {
        let origin = Origin::replying(format!(
            "HTTP/1.1 200 OK\r\nConnection: Content-Length, Transfer-Encoding, Date\r\nDate: now\r\n{framing}"
        ));
        let gateway = gate(&origin);
        let mut client = gateway.connect();
        for _ in 0..2 {
            let answer = client.get("/svc/a");
            assert_eq!((answer.status(), answer.text()), (200, "ok".into()));
            assert_eq!(answer.head.all("date").len(), 1, "{:?}", answer.head);
        }
    }
}

#[test]
fn an_empty_or_blank_value_passes_as_empty() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin), &origin, "X-Empty:\r\nX-Blank: \t \r\nX-Full: \t a b \t\r\n");
    assert_eq!((head.field("x-empty"), head.field("x-blank"), head.field("x-full")), (Some(""), Some(""), Some("a b")));
}

#[test]
fn many_connection_options_are_all_obeyed() {
    let origin = Origin::ok();
    let options: Vec<_> = (0..30).map(|number| format!("X-N{number}")).collect();
    let fields: String = options.iter().map(|name| format!("{name}: 1\r\n")).collect();
    let lines = format!("Connection: {}\r\n{fields}", options.join(" ,, "));
    let head = seen_with(&Conf::of(&origin), &origin, &lines);
    assert!(head.fields.iter().all(|(name, _)| !name.to_lowercase().starts_with("x-n")), "{head:?}");
}
