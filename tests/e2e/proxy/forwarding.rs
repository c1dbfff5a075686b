//! Who the service is told that the client is, which `Host` it sees, and the chain of gateways.

use super::gate;
use crate::support::message::Head;
use crate::support::{Conf, Gateway, Origin, Service};

/// The head that the origin saw of a GET with these extra lines.
fn seen_with(conf: &Conf, origin: &Origin, lines: &str) -> Head {
    let gateway = Gateway::start(conf);
    let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test:8\r\n{lines}\r\n"));
    assert_eq!(answer.status(), 200, "{answer:?}");
    origin.only().head
}

#[test]
fn forwarding_fields_of_a_stranger_are_replaced() {
    let origin = Origin::ok();
    let head = seen_with(
        &Conf::of(&origin),
        &origin,
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil.test\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n",
    );
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["gate.test:8"]);
    assert_eq!(head.all("x-real-ip"), ["127.0.0.1"]);
    assert!(head.all("forwarded").iter().all(|value| !value.contains("6.6.6.6")), "{head:?}");
}

#[test]
fn a_trusted_proxy_is_believed_up_to_the_first_address_that_is_not() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).http("trusted_proxies", ["127.0.0.0/8", "10.0.0.0/8"]);
    let head = seen_with(
        &conf,
        &origin,
        "X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: public.test\r\n",
    );
    let chain = head.all("x-forwarded-for").join(", ");
    assert!(chain.ends_with("9.9.9.9, 10.1.1.1, 127.0.0.1"), "{chain}");
    assert_eq!(head.all("x-real-ip"), ["9.9.9.9"]);
    assert_eq!(head.all("x-forwarded-proto"), ["https"]);
    assert_eq!(head.all("x-forwarded-host"), ["public.test"]);
}

#[test]
fn a_trusted_proxy_without_forwarding_fields_is_the_client() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin).http("trusted_proxies", ["127.0.0.1"]), &origin, "");
    assert_eq!(head.all("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn the_service_sees_the_nodes_address_as_host() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin), &origin, "");
    assert_eq!(head.all("host"), [origin.node()]);
}

#[test]
fn the_service_sees_req_host_where_the_file_has_one() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin).http("req_host", "fixed.test"), &origin, "");
    assert_eq!(head.all("host"), ["fixed.test"]);
}

#[test]
fn a_services_own_host_mode_wins_over_req_host() {
    for mode in ["client", "node", "named.test"] {
        let origin = Origin::ok();
        let service = Service::at("/svc", &[&origin]).base("host", mode);
        let head = seen_with(&Conf::new().service(service).http("req_host", "fixed.test"), &origin, "");
        let expected = match mode {
            "client" => "gate.test:8",
            "node" => origin.node(),
            _ => mode,
        };
        assert_eq!(head.all("host"), [expected]);
    }
}

#[test]
fn host_comes_before_every_other_field() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin), &origin, "X-First: 1\r\n");
    assert!(head.fields[0].0.eq_ignore_ascii_case("host"), "{head:?}");
}

#[test]
fn via_names_this_gateway_behind_those_before_it() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin), &origin, "Via: 1.0 fred\r\n");
    let chain = head.all("via").join(", ");
    assert!(chain.starts_with("1.0 fred, 1.1 ") && chain.len() > "1.0 fred, 1.1 ".len(), "{chain}");
}

#[test]
fn a_request_that_comes_back_is_a_loop() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.get("/svc/a");
    let via = origin.only().head.field("via").expect("via").to_owned();
    let answer = client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nVia: 1.1 other, {via}\r\n\r\n"));
    answer.expect_end(508, "loop");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn two_gateways_in_a_row_are_no_loop() {
    let origin = Origin::ok();
    let inner = gate(&origin);
    let node = inner.address().to_string();
    let service = Service::with_nodes("/out", vec![node]).balance("check_method", "tcpchk");
    let outer = Gateway::start(&Conf::new().service(service));
    let answer = outer.connect().get("/out/svc/a");
    assert_eq!((answer.status(), answer.text()), (200, "ok".into()));
    let vias: Vec<_> = origin.only().head.all("via").join(", ").split(", ").map(str::to_owned).collect();
    assert_eq!(vias.len(), 2, "{vias:?}");
    assert_ne!(vias[0], vias[1]);
}

#[test]
fn via_is_hidden_where_the_file_says_so() {
    let origin = Origin::ok();
    let head = seen_with(&Conf::of(&origin).http("via", false), &origin, "");
    assert!(head.all("via").is_empty(), "{head:?}");
}

#[test]
fn trace_and_connect_are_not_allowed_and_the_answer_says_what_is() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    for line in ["TRACE /svc/a", "TRACE /nowhere", "CONNECT gate.test:80"] {
        let answer = gateway.connect().ask(format!("{line} HTTP/1.1\r\nHost: gate.test:80\r\n\r\n"));
        answer.expect_end(405, "method_not_allowed");
        assert!(answer.head.lists("allow", "GET"), "{line}: {:?}", answer.head);
        assert!(!answer.head.lists("allow", "TRACE"), "{line}: {:?}", answer.head);
    }
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn max_forwards_counts_down_and_zero_is_answered_here() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.ask("OPTIONS /svc/a HTTP/1.1\r\nHost: gate.test\r\nMax-Forwards: 3\r\n\r\n");
    assert_eq!(origin.only().head.all("max-forwards"), ["2"]);
    let answer = client.ask("OPTIONS /svc/a HTTP/1.1\r\nHost: gate.test\r\nMax-Forwards: 0\r\n\r\n");
    assert!(matches!(answer.status(), 200 | 204), "{answer:?}");
    assert_eq!(origin.requests().len(), 1, "zero must not go on");
}

#[test]
fn max_forwards_means_nothing_on_other_methods() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.only().head.all("max-forwards"), ["0"]);
}

#[test]
fn nonsense_from_a_trusted_proxy_is_not_taken_for_an_address() {
    let conf = |origin: &Origin| Conf::of(origin).http("trusted_proxies", ["127.0.0.1"]);
    for value in ["unknown", "", ",", "1.2.3", "1.2.3.4.5", "256.1.1.1", "10.0.0.1 10.0.0.2", "_hidden", "<script>"] {
        let origin = Origin::ok();
        let head = seen_with(&conf(&origin), &origin, &format!("X-Forwarded-For: 9.9.9.9, {value}\r\n"));
        let client = head.field("x-real-ip").expect("a client").to_owned();
        // To stop at the proxy, or to skip what is empty, are both sound; to pass the nonsense on is not.
        assert!(
            client == "127.0.0.1" || client == "9.9.9.9" && value.trim_matches(',').is_empty(),
            "{value}: {client}"
        );
    }
}
