//! A client that sends exactly the bytes it is told to and reads whole answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::message::{Body, Framing, Head, text};
use super::wire::{Gone, Wire};

/// A final answer, and the interim ones before it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) interim: Vec<Head>,
    pub(crate) framing: Framing,
    pub(crate) body: Body,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.word(1).parse().expect("a numeric status")
    }

    pub(crate) fn text(&self) -> String {
        text(&self.body.bytes)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// Why the gateway answered instead of the service; empty for a service's own answer.
    pub(crate) fn reason(&self) -> &str {
        self.head.field("x-gatekeeper-reason").unwrap_or("")
    }

    /// Whether the gateway says that it closes the connection.
    pub(crate) fn closes(&self) -> bool {
        self.head.lists("connection", "close")
    }

    /// Fails unless this is the gateway's own answer with that status and reason, in its envelope.
    #[track_caller]
    pub(crate) fn expect_end(&self, status: u16, reason: &str) {
        assert_eq!((self.status(), self.reason()), (status, reason), "{:?} {}", self.head, self.text());
        let envelope = self.json();
        assert_eq!(envelope["errno"], status, "{envelope}");
        assert_eq!(envelope["data"], "", "{envelope}");
        assert!(envelope["errmsg"].as_str().is_some_and(|text| !text.is_empty()), "{envelope}");
        assert!(envelope["trace_id"].as_str().is_some_and(|id| !id.is_empty()), "{envelope}");
    }
}

/// An answer that did not come whole.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) gone: Gone,
    /// What came of the body.
    pub(crate) body: Body,
}

/// One connection to the gateway.
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

impl Client {
    pub(crate) fn connect(gateway: SocketAddr) -> Self {
        Self::dial(gateway, None)
    }

    /// From an address of this machine's loopback network, so that a test has many addresses.
    pub(crate) fn connect_from(source: Ipv4Addr, gateway: SocketAddr) -> Self {
        Self::dial(gateway, Some(source))
    }

    fn dial(gateway: SocketAddr, source: Option<Ipv4Addr>) -> Self {
        let socket = Socket::new(Domain::for_address(gateway), Type::STREAM, None).expect("descriptors");
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into()).expect("a loopback address");
        }
        socket.connect_timeout(&gateway.into(), PATIENCE).unwrap_or_else(|error| panic!("connect {gateway}: {error}"));
        socket.set_tcp_nodelay(true).expect("a TCP socket");
        Self { wire: Wire::new(socket) }
    }

    /// The same connection with another patience.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.wire.patience = patience;
        self
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.wire.try_send(bytes.as_ref());
        assert_eq!(sent, Ok(()), "the gateway takes the bytes");
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let request = request.as_ref();
        self.send(request);
        if request.starts_with(b"HEAD ") { self.answer_to("HEAD") } else { self.answer() }
    }

    /// `GET` with a Host and nothing else.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n"))
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    #[track_caller]
    pub(crate) fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer_to(method).unwrap_or_else(|cut| panic!("no whole answer: {cut:?}"))
    }

    pub(crate) fn try_answer(&mut self) -> Result<Answer, Cut> {
        self.try_answer_to("GET")
    }

    pub(crate) fn try_answer_to(&mut self, method: &str) -> Result<Answer, Cut> {
        let mut interim = Vec::new();
        loop {
            let cut = |gone| Cut { gone, body: Body::default() };
            let head = Head::receive(&mut self.wire).map_err(cut)?;
            let status: u16 = head.word(1).parse().unwrap_or_else(|_| panic!("a status line: {:?}", head.start));
            if (100..200).contains(&status) && status != 101 {
                interim.push(head);
                continue;
            }
            let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let framing = if bodiless { Framing::Nothing } else { Framing::of(&head, Framing::UntilClose) };
            return match Body::receive(&mut self.wire, framing) {
                Ok(body) => Ok(Answer { head, interim, framing, body }),
                Err((body, gone)) => Err(Cut { gone, body }),
            };
        }
    }

    /// Fails unless the gateway closes without another byte.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) {
        let (bytes, gone) = self.wire.rest();
        assert_eq!((text(&bytes).as_str(), gone), ("", Gone::Closed));
    }

    /// Fails unless the gateway ends the connection, by a close or a reset, without another byte.
    #[track_caller]
    pub(crate) fn expect_end_of_connection(&mut self) {
        let (bytes, gone) = self.wire.rest();
        assert_eq!(text(&bytes), "");
        assert_ne!(gone, Gone::Silent, "the connection is still open");
    }
}
