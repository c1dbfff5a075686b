//! What to answer, and its bytes.
//!
//! In scope: choosing by path, rendering. Out of scope: when it is sent, and to whom.

use crate::args::Args;
use crate::request::Head;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests answered by all threads since the start. Written by every thread, read by `/count`, which so tells a
/// benchmark how many requests it saw between two instants.
static ANSWERED_TOTAL: AtomicU64 = AtomicU64::new(0);

/// What the bodies of `/bytes/N` repeat; 64 KiB.
pub(crate) static FILLING: [u8; 65_536] = [b'x'; 65_536];

/// An answer that was chosen and not rendered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The fixed reply of the command line.
    Fixed,
    /// A body of this many bytes.
    Bytes(u64),
    /// How many requests were answered.
    Count,
    /// A line of text.
    Line { status: &'static str, text: &'static str },
    /// The members of a JSON object that tells what was received.
    Demo(String),
    /// An event every half second, until the peer leaves.
    Events,
}

/// How an answer must be sent because of its request, not because of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// The request was a HEAD.
    pub(crate) head_only: bool,
    /// Another request may follow.
    pub(crate) keep_alive: bool,
}

/// The parts of answers that are the same for many requests.
#[derive(Debug)]
pub(crate) struct Stock {
    port: u16,
    demo: bool,
    /// The fixed reply from its `Content-Type` on.
    fixed: Vec<u8>,
    /// Bytes of its body.
    fixed_body_bytes: usize,
    date: String,
    date_second: u64,
}

/// Chooses the answer by the last segments of the path, so that it does not depend on what a proxy puts before them.
pub(crate) fn choose(head: &Head<'_>, stock: &Stock) -> Answer {
    let path = head.target.split('?').next().unwrap_or_default();
    let mut segments = path.rsplit('/');
    let (last, before) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    match last {
        "ping" => Answer::Line { status: "200 OK", text: "pong\n" },
        "count" => Answer::Count,
        "sse" if head.method == "GET" => Answer::Events,
        _ if before == "bytes" => match last.parse() {
            Ok(bytes) => Answer::Bytes(bytes),
            Err(_) => Answer::Line { status: "404 Not Found", text: "/bytes/N needs a number\n" },
        },
        _ if stock.demo => Answer::Demo(demo_members(head, stock.port)),
        _ => Answer::Fixed,
    }
}

impl Stock {
    pub(crate) fn new(args: &Args) -> Self {
        let body: String = "hello, world".chars().cycle().take(args.body_bytes).collect();
        let fixed = format!("Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut stock = Self {
            port: args.listen.port(),
            demo: args.demo,
            fixed: fixed.into_bytes(),
            fixed_body_bytes: body.len(),
            date: String::new(),
            date_second: 0,
        };
        stock.refresh_date();
        stock
    }

    /// Keeps the `Date` of answers right; to be called once per turn of the loop.
    pub(crate) fn refresh_date(&mut self) {
        let now = std::time::SystemTime::now();
        let second = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.date_second {
            self.date_second = second;
            self.date = httpdate::fmt_http_date(now);
        }
    }

    /// Renders `answer` to `out`; returns how many bytes of [`FILLING`] must follow.
    pub(crate) fn render(&self, answer: &Answer, manner: Manner, body_bytes: u64, out: &mut Vec<u8>) -> u64 {
        ANSWERED_TOTAL.fetch_add(1, Ordering::Relaxed);
        let status = match answer {
            Answer::Line { status, .. } => status,
            _ => "200 OK",
        };
        for part in ["HTTP/1.1 ", status, "\r\nDate: ", &self.date, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        if !manner.keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        match answer {
            Answer::Fixed => {
                let omitted = if manner.head_only { self.fixed_body_bytes } else { 0 };
                out.extend_from_slice(&self.fixed[..self.fixed.len() - omitted]);
            }
            Answer::Bytes(bytes) => return filled(*bytes, manner, out),
            Answer::Count => text(&format!("{}\n", ANSWERED_TOTAL.load(Ordering::Relaxed)), "text/plain", manner, out),
            Answer::Line { text: line, .. } => text(line, "text/plain", manner, out),
            Answer::Demo(members) => {
                text(&format!("{{{members},\"body_bytes\":{body_bytes}}}\n"), "application/json", manner, out);
            }
            Answer::Events => out.extend_from_slice(
                b"Content-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
        }
        0
    }
}

/// Renders one event of [`Answer::Events`] as a chunk.
pub(crate) fn event(number: u64, out: &mut Vec<u8>) {
    let event = format!("id: {number}\ndata: tick {number}\n\n");
    out.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
}

fn filled(bytes: u64, manner: Manner, out: &mut Vec<u8>) -> u64 {
    write!(out, "Content-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n")
        .expect("a vector takes every byte");
    if manner.head_only {
        return 0;
    }
    // What fits beside the head goes out with it in one write.
    let beside = usize::try_from(bytes).unwrap_or(usize::MAX).min(16_384);
    out.extend_from_slice(&FILLING[..beside]);
    bytes - beside as u64
}

fn text(body: &str, content_type: &str, manner: Manner, out: &mut Vec<u8>) {
    write!(out, "Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len())
        .expect("a vector takes every byte");
    if !manner.head_only {
        out.extend_from_slice(body.as_bytes());
    }
}

fn demo_members(head: &Head<'_>, port: u16) -> String {
    format!(
        "\"origin\":{port},\"method\":{},\"target\":{},\"host\":{},\"x_forwarded_for\":{}",
        json(Some(head.method)),
        json(Some(head.target)),
        json(head.host),
        json(head.forwarded_for)
    )
}

fn json(text: Option<&str>) -> String {
    let Some(text) = text else { return "null".into() };
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => quoted.push_str(&format!("\\u{:04x}", character as u32)),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
