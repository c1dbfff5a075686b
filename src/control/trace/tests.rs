//! The exporter and a collector that follows a script, over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use super::*;
use crate::limits::{JOURNAL_RING_WORDS, TRACE_BATCH_RECORDS};
use crate::proto::trace_context::Incoming;
use crate::wall::journal::{AccessRecord, Journal, Numbers, Text, Texts};
use crate::wall::timing::Timing;
use crate::wall::trace::Sampling;

const PATIENCE: Duration = Duration::from_secs(15);
const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// An export as it arrived.
struct Arrived {
    head: String,
    message: ExportTraceServiceRequest,
}

impl Arrived {
    fn spans(&self) -> usize {
        let scopes = self.message.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum()
    }

    fn resource(&self, key: &str) -> Option<&Value> {
        let attributes = &self.message.resource_spans[0].resource.as_ref()?.attributes;
        attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
    }
}

/// A collector: what it says to one export after the other, the last for all that follow. Empty: it says nothing.
struct Peer {
    address: String,
    arrived: Receiver<Arrived>,
}

impl Peer {
    fn with(script: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (arrived, inbox) = channel();
        std::thread::spawn(move || {
            let mut said = 0;
            for stream in listener.incoming().flatten() {
                serve(stream, &script, &mut said, &arrived);
            }
        });
        Self { address, arrived: inbox }
    }

    fn saying(script: &[&str]) -> Self {
        Self::with(script.iter().map(|answer| answer.as_bytes().to_vec()).collect())
    }

    fn next(&self) -> Arrived {
        self.arrived.recv_timeout(PATIENCE).expect("an export")
    }

    fn export(&self) -> Export {
        Export {
            authority: self.address.as_str().into(),
            path: "/v1/traces".into(),
            service_name: "edge".into(),
            fields: [("authorization".into(), "Bearer abc".into())].into(),
            timeout_ms: 10_000,
        }
    }
}

/// Serves one connection, to its end or to an answer that closes it.
fn serve(stream: TcpStream, script: &[Vec<u8>], said: &mut usize, arrived: &std::sync::mpsc::Sender<Arrived>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(reader.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let message = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
        let _ = arrived.send(Arrived { head, message });
        let answer = script.get(*said).or(script.last()).map_or(&[][..], Vec::as_slice);
        *said += 1;
        if reader.get_mut().write_all(answer).is_err() || answer.windows(5).any(|word| word == b"close") {
            return;
        }
    }
}

/// A frame as the journal's reader hands it over: one request that was served over a kept connection, two spans.
fn frame(number: u64) -> Box<[u8]> {
    let mut texts = Texts::default();
    texts.set(Text::Method, b"GET", 9);
    texts.set(Text::Target, b"/a", 9);
    texts.set(Text::Node, b"127.0.0.1:1", 20);
    let stamps = Timing { begun_us: 1, connected_us: 2, first_us: 3, end_us: 4, ..Timing::default() };
    let numbers = Numbers { status: 200, attempts: 1, stamps, ..Numbers::default() };
    let sampling = Sampling { ratio_millionths: 1_000_000, parent_based: true };
    let trace = Some(sampling.begin(&Incoming::default(), None, || (number.into(), number)));
    let journal = Journal::default();
    AccessRecord { numbers, trace, texts }.put(&mut journal.writer());
    let mut bytes = Vec::new();
    journal.fresh().iter_mut().for_each(|reader| reader.take(&mut bytes, JOURNAL_RING_WORDS));
    // The number of words comes first.
    bytes.split_off(8).into()
}

fn start(export: Export) -> Exporter {
    Exporter::start(export, Arc::default(), Instant::now(), Arc::default()).expect("a thread")
}

fn total(figure: &AtomicU64) -> u64 {
    figure.load(Relaxed)
}

fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn what_comes_within_a_moment_goes_out_in_one_export() {
    let peer = Peer::saying(&[TAKEN]);
    let exporter = start(peer.export());
    (1..=10).for_each(|number| exporter.offer(&frame(number)));
    let arrived = peer.next();
    assert_eq!(arrived.spans(), 20);
    assert!(arrived.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", arrived.head);
    for line in
        ["content-type: application/x-protobuf", "authorization: Bearer abc", &format!("host: {}", peer.address)]
    {
        assert!(arrived.head.lines().any(|found| found == line), "{line}: {}", arrived.head);
    }
    assert_eq!(arrived.resource("service.name"), Some(&Value::StringValue("edge".into())));
    assert!(eventually(|| total(&exporter.figures.exported_total) == 20));
}

#[test]
fn more_than_a_batch_goes_out_at_once_and_over_one_connection() {
    let peer = Peer::saying(&[TAKEN]);
    let exporter = start(peer.export());
    let frame = frame(1);
    let begun = Instant::now();
    (0..2 * TRACE_BATCH_RECORDS).for_each(|_| exporter.offer(&frame));
    assert_eq!(peer.next().spans() + peer.next().spans(), 4 * TRACE_BATCH_RECORDS);
    assert!(begun.elapsed() < PATIENCE / 2);
}

#[test]
fn an_export_is_tried_again_where_the_collector_asks_for_it() {
    for answer in [
        "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 502 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nshort",
    ] {
        let peer = Peer::saying(&[answer, TAKEN]);
        let exporter = start(peer.export());
        exporter.offer(&frame(1));
        assert_eq!(peer.next().message, peer.next().message, "{answer}");
        assert!(eventually(|| total(&exporter.figures.exported_total) == 2), "{answer}");
        assert_eq!(total(&exporter.figures.given_up_total), 0);
    }
}

#[test]
fn an_export_that_is_refused_is_given_up_and_the_next_one_goes_out() {
    let peer = Peer::saying(&["HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n", TAKEN]);
    let exporter = start(peer.export());
    exporter.offer(&frame(1));
    peer.next();
    assert!(eventually(|| total(&exporter.figures.given_up_total) == 2));
    exporter.offer(&frame(2));
    assert_eq!(peer.next().spans(), 2);
    assert!(eventually(|| total(&exporter.figures.exported_total) == 2));
}

#[test]
fn what_a_collector_rejects_of_an_export_is_counted() {
    let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".into() };
    let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    let peer = Peer::with(vec![answer]);
    let exporter = start(peer.export());
    (1..=5).for_each(|number| exporter.offer(&frame(number)));
    let figures = exporter.figures.clone();
    assert!(eventually(|| total(&figures.rejected_total) == 3 && total(&figures.exported_total) == 7));
}

#[test]
fn a_kept_connection_that_was_closed_costs_no_export() {
    let closing = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nclose";
    let peer = Peer::saying(&[closing, TAKEN]);
    let exporter = start(peer.export());
    for number in 1..=2 {
        exporter.offer(&frame(number));
        assert_eq!(peer.next().spans(), 2);
        assert!(eventually(|| total(&exporter.figures.exported_total) == 2 * number));
    }
}

#[test]
fn a_collector_that_says_nothing_holds_nobody_up() {
    let peer = Peer::saying(&[]);
    let exporter = start(peer.export());
    let frame = frame(1);
    let begun = Instant::now();
    (0..TRACE_QUEUE_RECORDS + 2_000).for_each(|_| exporter.offer(&frame));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(total(&exporter.figures.overflowed_total) > 0);
    let begun = Instant::now();
    exporter.finish();
    let bound = Duration::from_millis(TRACE_FLUSH_MS + TRACE_FLUSH_GRACE_MS);
    assert!(begun.elapsed() < bound + Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn another_collector_takes_what_the_first_one_did_not() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let peer = Peer::saying(&[TAKEN]);
    let exporter = start(Export { authority: nobody.into(), ..peer.export() });
    exporter.offer(&frame(1));
    std::thread::sleep(Duration::from_millis(1_500));
    exporter.change(peer.export(), Arc::default());
    assert_eq!(peer.next().spans(), 2);
    assert!(eventually(|| total(&exporter.figures.exported_total) == 2));
}

#[test]
fn what_waits_at_a_stop_goes_out_without_waiting_for_more() {
    let peer = Peer::saying(&[TAKEN]);
    let exporter = start(peer.export());
    let figures = exporter.figures.clone();
    (1..=3).for_each(|number| exporter.offer(&frame(number)));
    let begun = Instant::now();
    exporter.finish();
    assert_eq!((total(&figures.exported_total), total(&figures.given_up_total)), (6, 0));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[test]
fn a_frame_that_is_no_record_is_left_out() {
    let peer = Peer::saying(&[TAKEN]);
    let exporter = start(peer.export());
    exporter.offer(b"what is this");
    exporter.offer(&frame(1));
    assert_eq!(peer.next().spans(), 2);
}
