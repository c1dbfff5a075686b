//! The end before the proxy: on each connection one exchange after the other, none in between.
//!
//! In scope: connecting, asking, checking the answers, latency; holding idle connections. Out of scope: what the
//! exchanges cost the proxy, which bench/instrument reads.

use crate::args::Asked;
use crate::message::Message;
use crate::opening::{first_words, switched};
use crate::sockets::{Had, SCRATCH_BYTES, Watch, receive};
use crate::talk::Talk;
use rustix::fd::OwnedFd;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a connection may take to open.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The connections, and what they have seen.
pub(crate) struct Load {
    asked: Asked,
    watch: Watch,
    ask: Message,
    answer: Message,
    connections: Vec<Connection>,
    scratch: Vec<u8>,
    begun: Instant,
    /// Of exchanges after the warming.
    latencies_us: Vec<u32>,
    exchanges: u64,
    errors: u64,
    held: usize,
}

struct Connection {
    socket: OwnedFd,
    stage: Stage,
    talk: Talk,
    asked_at: Instant,
    /// Epoll watches it for room to send, not for bytes.
    waits_for_room: bool,
}

enum Stage {
    /// What came so far of the answer to a handshake.
    Opening(Vec<u8>),
    Asking,
    Listening,
    /// It asks nothing any more, and must stay open.
    Held,
    Gone,
}

impl Load {
    /// A load that has no connection yet.
    ///
    /// # Errors
    ///
    /// The kernel's, when there is no epoll.
    pub(crate) fn new(asked: Asked) -> io::Result<Self> {
        Ok(Self {
            ask: Message::ask(asked.shape),
            answer: Message::answer(asked.shape),
            asked,
            watch: Watch::new()?,
            connections: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            begun: Instant::now(),
            latencies_us: Vec::new(),
            exchanges: 0,
            errors: 0,
            held: 0,
        })
    }

    /// Opens the connections, runs for the asked time and prints what was seen.
    ///
    /// # Errors
    ///
    /// The kernel's, when a connection cannot be opened or epoll itself fails.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        for _ in 0..self.asked.connections {
            self.open()?;
        }
        // All are there before the first asks.
        self.begun = Instant::now();
        for key in 0..self.connections.len() {
            if matches!(self.connections[key].stage, Stage::Asking) {
                self.turn(key);
            }
        }
        while self.begun.elapsed() < self.asked.total {
            self.wait(Some(self.asked.total.saturating_sub(self.begun.elapsed())))?;
            if self.errors as usize == self.connections.len() || self.exchanges >= self.asked.exchanges {
                break;
            }
        }
        self.tell();
        Ok(())
    }

    /// Opens one connection after the other, each with one exchange, says that they are there, and keeps them until
    /// it is ended from outside. One at a time, so that what many at once would need is not in what they keep.
    ///
    /// # Errors
    ///
    /// As `run`, and when a connection does not last.
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        for key in 0..self.asked.connections {
            self.open()?;
            if matches!(self.connections[key].stage, Stage::Asking) {
                self.turn(key);
            }
            while self.held <= key && self.errors == 0 {
                self.wait(None)?;
            }
        }
        if self.errors == 0 {
            // Whoever reads this waits for it.
            println!("held {}", self.held);
        }
        while self.errors == 0 {
            self.wait(None)?;
        }
        Err(io::Error::other("a held connection did not last"))
    }

    fn open(&mut self) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.asked.connect, CONNECT_PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.write_all(&first_words(self.asked.shape))?;
        stream.set_nonblocking(true)?;
        let socket = OwnedFd::from(stream);
        self.watch.add(&socket, self.connections.len() as u64)?;
        let stage = if self.asked.shape.websocket { Stage::Opening(Vec::new()) } else { Stage::Asking };
        let (talk, asked_at) = (Talk::default(), Instant::now());
        self.connections.push(Connection { socket, stage, talk, asked_at, waits_for_room: false });
        Ok(())
    }

    /// Goes on with what has something to say.
    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        for key in self.watch.wait(limit)? {
            self.turn(key as usize);
        }
        Ok(())
    }

    /// Goes on with one connection; a fault ends it.
    fn turn(&mut self, key: usize) {
        if let Err(fault) = self.advance(key) {
            if self.errors == 0 {
                eprintln!("bench-messages: load: connection {key}: {fault}");
            }
            self.errors += 1;
            let connection = &mut self.connections[key];
            connection.stage = Stage::Gone;
            // Nothing more is wanted of it, so that epoll must not tell of it again.
            let _ = rustix::net::shutdown(&connection.socket, rustix::net::Shutdown::Both);
            let _ = self.watch.remove(&connection.socket);
        }
    }

    fn advance(&mut self, key: usize) -> io::Result<()> {
        if matches!(self.connections[key].stage, Stage::Asking) {
            return self.ask(key);
        }
        let connection = &mut self.connections[key];
        let bytes = match receive(&connection.socket, &mut self.scratch)? {
            Had::Bytes(bytes) => &self.scratch[..bytes],
            Had::Nothing => return Ok(()),
            Had::End => return Err(io::Error::other("closed")),
        };
        match &mut connection.stage {
            Stage::Opening(words) => {
                words.extend_from_slice(bytes);
                match switched(words).map_err(io::Error::other)? {
                    None => Ok(()),
                    Some(end) if end == words.len() => self.ask(key),
                    Some(_) => Err(io::Error::other("bytes behind the handshake")),
                }
            }
            Stage::Listening => {
                if connection.talk.take(&self.answer, bytes)? {
                    self.answered(key)?;
                }
                Ok(())
            }
            Stage::Asking | Stage::Held | Stage::Gone => Err(io::Error::other("bytes that nobody asked for")),
        }
    }

    fn answered(&mut self, key: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        let now = Instant::now();
        connection.talk.number += 1;
        self.exchanges += 1;
        if now.duration_since(self.begun) > self.asked.warm {
            self.latencies_us.push(now.duration_since(connection.asked_at).as_micros() as u32);
        }
        if self.exchanges >= self.asked.exchanges {
            return Ok(());
        }
        if !self.asked.hold {
            return self.ask(key);
        }
        connection.stage = Stage::Held;
        self.held += 1;
        Ok(())
    }

    /// Sends a message, or as much of it as goes.
    fn ask(&mut self, key: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        if !connection.waits_for_room {
            connection.asked_at = Instant::now();
        }
        let whole = connection.talk.send(&connection.socket, &self.ask, &mut self.scratch)?;
        connection.stage = if whole { Stage::Listening } else { Stage::Asking };
        if whole == connection.waits_for_room {
            connection.waits_for_room = !whole;
            self.watch.want_room(&connection.socket, key as u64, !whole)?;
        }
        Ok(())
    }

    fn tell(&mut self) {
        self.latencies_us.sort_unstable();
        let percentile = |percent: usize| {
            let place = (self.latencies_us.len() * percent / 100).min(self.latencies_us.len().saturating_sub(1));
            f64::from(self.latencies_us.get(place).copied().unwrap_or(0)) / 1000.0
        };
        println!(
            "exchanges {} errors {} p50_ms {:.3} p99_ms {:.3}",
            self.exchanges,
            self.errors,
            percentile(50),
            percentile(99)
        );
    }
}
