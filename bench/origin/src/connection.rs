//! One connection: from bytes received to bytes to send, in the order of the requests.
//!
//! In scope: the phases of an exchange and what is owed to the peer. Out of scope: sockets' readiness and timers, which
//! are `server`'s; a connection only says when it is due.

use crate::answer::{self, Answer, FILLING, Manner, Stock};
use crate::request::{self, Body};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send};
use std::time::{Duration, Instant};

/// No further request is begun while this much waits to be sent.
const OWED_BYTES_MAX: usize = 64 * 1024;
/// How long a peer may take to close after its last answer.
const LINGER: Duration = Duration::from_secs(1);
const EVENT_INTERVAL: Duration = Duration::from_millis(500);

/// Where the exchange is.
#[derive(Debug)]
enum Phase {
    Head,
    Body {
        body: Body,
        content_bytes: u64,
        answer: Answer,
        manner: Manner,
    },
    /// The answer is complete but waits, as the command line asked.
    Delay {
        body_bytes: u64,
        answer: Answer,
        manner: Manner,
    },
    Events {
        number: u64,
    },
    /// No more requests are read; closes when everything is sent and the peer has ended, or after [`LINGER`].
    Last,
}

/// A connection and what is owed to its peer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    /// Received and not yet understood; empty between whole requests.
    input: Vec<u8>,
    output: Vec<u8>,
    sent_bytes: usize,
    /// Bytes of filling that follow `output`.
    fill_bytes: u64,
    phase: Phase,
    /// The peer has sent its last byte.
    ended: bool,
    /// It was told that we have too.
    shut: bool,
    /// When [`Connection::wake`] must be called.
    pub(crate) due: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            input: Vec::new(),
            output: Vec::new(),
            sent_bytes: 0,
            fill_bytes: 0,
            phase: Phase::Head,
            ended: false,
            shut: false,
            due: None,
        }
    }

    /// Something waits to be sent.
    pub(crate) fn owes(&self) -> bool {
        self.sent_bytes < self.output.len() || self.fill_bytes > 0
    }

    /// More may be received now.
    pub(crate) fn listens(&self) -> bool {
        !self.ended && !self.owes() && self.input.len() <= request::HEAD_BYTES_MAX
    }

    /// Nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && !self.owes() && !matches!(self.phase, Phase::Delay { .. })
    }

    /// Takes what was received; nothing means that the peer has ended.
    pub(crate) fn receive(&mut self, bytes: &[u8], delay: Duration, stock: &Stock) {
        self.ended |= bytes.is_empty();
        if self.input.is_empty() {
            let passed = self.advance(bytes, delay, stock);
            self.input.extend_from_slice(&bytes[passed..]);
        } else {
            self.input.extend_from_slice(bytes);
            self.resume(delay, stock);
        }
    }

    /// Goes on with what was received earlier; false when that makes no difference.
    pub(crate) fn resume(&mut self, delay: Duration, stock: &Stock) -> bool {
        let input = std::mem::take(&mut self.input);
        let passed = self.advance(&input, delay, stock);
        self.input = input;
        self.input.drain(..passed);
        passed > 0
    }

    /// The time that `due` named has come. False when the connection must be dropped.
    pub(crate) fn wake(&mut self, stock: &Stock) -> bool {
        self.due = None;
        match std::mem::replace(&mut self.phase, Phase::Head) {
            Phase::Delay { body_bytes, answer, manner } => self.answer(&answer, manner, body_bytes, stock),
            Phase::Events { number } => {
                if !self.owes() {
                    answer::event(number, &mut self.output);
                }
                self.phase = Phase::Events { number: number + 1 };
                self.due = Some(Instant::now() + EVENT_INTERVAL);
            }
            Phase::Last => return false,
            phase => self.phase = phase,
        }
        true
    }

    /// Sends what is owed, as far as the kernel takes it.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        while self.owes() {
            let left = &self.output[self.sent_bytes..];
            let filling = FILLING.len().min(usize::try_from(self.fill_bytes).unwrap_or(usize::MAX));
            let (bytes, is_filling) = if left.is_empty() { (&FILLING[..filling], true) } else { (left, false) };
            match send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) if is_filling => self.fill_bytes -= sent as u64,
                Ok(sent) => self.sent_bytes += sent,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.output.clear();
        self.sent_bytes = 0;
        if matches!(self.phase, Phase::Last) && !self.shut {
            self.shut = true;
            self.due = Some(Instant::now() + LINGER);
            return rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
        Ok(())
    }

    /// Understands as much of `bytes` as the phase allows; returns how many.
    fn advance(&mut self, bytes: &[u8], delay: Duration, stock: &Stock) -> usize {
        let mut passed = 0;
        while self.fill_bytes == 0 && self.output.len() < OWED_BYTES_MAX {
            let step = match &self.phase {
                Phase::Head => self.head(&bytes[passed..], stock),
                Phase::Body { .. } => self.body(&bytes[passed..], delay, stock),
                Phase::Delay { .. } | Phase::Events { .. } => None,
                Phase::Last => return bytes.len(),
            };
            match step {
                Some(step) => passed += step,
                None => return passed,
            }
        }
        passed
    }

    /// Reads a head; `None` when it is not complete.
    fn head(&mut self, bytes: &[u8], stock: &Stock) -> Option<usize> {
        if bytes.starts_with(b"\r\n") {
            return Some(2);
        }
        let head = match request::parse(bytes) {
            Ok(head) => head?,
            Err(request::Malformed) => return Some(self.refuse(stock)),
        };
        if head.expects_continue && head.body != Body::Length(0) {
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let manner = Manner { head_only: head.method == "HEAD", keep_alive: head.keep_alive };
        self.phase = Phase::Body { body: head.body, content_bytes: 0, answer: answer::choose(&head, stock), manner };
        Some(head.bytes)
    }

    /// Passes over a body; `None` when more of it must come first.
    fn body(&mut self, bytes: &[u8], delay: Duration, stock: &Stock) -> Option<usize> {
        let Phase::Body { body, content_bytes, answer, manner } = &mut self.phase else { return None };
        let Ok(drained) = body.drain(bytes) else { return Some(self.refuse(stock)) };
        *content_bytes += drained.content_bytes;
        if !drained.over {
            return (drained.bytes > 0).then_some(drained.bytes);
        }
        let (body_bytes, manner) = (*content_bytes, *manner);
        let answer = std::mem::replace(answer, Answer::Fixed);
        if delay.is_zero() {
            self.answer(&answer, manner, body_bytes, stock);
        } else {
            self.phase = Phase::Delay { body_bytes, answer, manner };
            self.due = Some(Instant::now() + delay);
        }
        Some(drained.bytes)
    }

    fn answer(&mut self, answer: &Answer, manner: Manner, body_bytes: u64, stock: &Stock) {
        self.fill_bytes = stock.render(answer, manner, body_bytes, &mut self.output);
        self.phase = match answer {
            Answer::Events => Phase::Events { number: 0 },
            _ if manner.keep_alive => Phase::Head,
            _ => Phase::Last,
        };
        if matches!(answer, Answer::Events) {
            self.due = Some(Instant::now());
        }
    }

    fn refuse(&mut self, stock: &Stock) -> usize {
        let answer = Answer::Line { status: "400 Bad Request", text: "this is not a request\n" };
        self.answer(&answer, Manner { head_only: false, keep_alive: false }, 0, stock);
        0
    }
}
