//! The end behind the proxy: answers every message with one of its own.
//!
//! In scope: accepting, openings, exchanges, counting them. Out of scope: what bytes mean (`opening`, `message`).

use crate::args::Shape;
use crate::message::Message;
use crate::opening::{self, Opening, SWITCH};
use crate::sockets::{Had, SCRATCH_BYTES, Watch, listen, receive};
use crate::talk::Talk;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send, sockopt};
use slab::Slab;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// The listener's key; a connection's is its place.
const LISTENER: u64 = u64::MAX;

/// The listener and its connections.
pub(crate) struct Origin {
    watch: Watch,
    listener: OwnedFd,
    connections: Slab<Connection>,
    /// The messages of each shape, made once.
    messages: HashMap<Shape, Rc<Messages>>,
    exchanges: u64,
    scratch: Vec<u8>,
}

struct Messages {
    ask: Message,
    answer: Message,
}

struct Connection {
    socket: OwnedFd,
    stage: Stage,
}

enum Stage {
    /// What came so far of the opening.
    Opening(Vec<u8>),
    Listening(Rc<Messages>, Talk),
    Answering(Rc<Messages>, Talk),
}

/// The connection is over.
struct Over;

impl Origin {
    /// Listens, without serving yet.
    ///
    /// # Errors
    ///
    /// The kernel's, such as an address in use.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let (watch, listener) = (Watch::new()?, listen(address)?);
        watch.add(&listener, LISTENER)?;
        eprintln!("bench-messages: {address}");
        let (connections, messages) = (Slab::new(), HashMap::new());
        Ok(Self { watch, listener, connections, messages, exchanges: 0, scratch: vec![0; SCRATCH_BYTES] })
    }

    /// Serves until epoll itself fails.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        loop {
            for key in self.watch.wait(None)? {
                if key == LISTENER {
                    self.accept();
                } else if self.serve(key).is_err() {
                    self.connections.try_remove(key as usize);
                }
            }
        }
    }

    fn accept(&mut self) {
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    // Only a peer that has left already makes these fail.
                    let _ = sockopt::set_tcp_nodelay(&socket, true);
                    let entry = self.connections.vacant_entry();
                    if self.watch.add(&socket, entry.key() as u64).is_ok() {
                        entry.insert(Connection { socket, stage: Stage::Opening(Vec::new()) });
                    }
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                // No descriptor is left, most likely; the pause keeps a waiting connection from spinning this loop.
                Err(_) => return std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn serve(&mut self, key: u64) -> Result<(), Over> {
        // An event for a connection that an earlier event of the same turn closed.
        let Some(connection) = self.connections.get_mut(key as usize) else { return Ok(()) };
        if let Stage::Answering(messages, talk) = &mut connection.stage {
            if talk.send(&connection.socket, &messages.answer, &mut self.scratch).map_err(told)? {
                self.exchanges += 1;
                talk.number += 1;
                connection.stage = Stage::Listening(messages.clone(), std::mem::take(talk));
                self.watch.want_room(&connection.socket, key, false).map_err(told)?;
            }
            return Ok(());
        }
        let bytes = match receive(&connection.socket, &mut self.scratch) {
            Ok(Had::Bytes(bytes)) => bytes,
            Ok(Had::Nothing) => return Ok(()),
            Ok(Had::End) | Err(_) => return Err(Over),
        };
        match &mut connection.stage {
            Stage::Opening(words) => {
                words.extend_from_slice(&self.scratch[..bytes]);
                self.open(key)
            }
            Stage::Listening(messages, talk) => {
                if talk.take(&messages.ask, &self.scratch[..bytes]).map_err(told)? {
                    connection.stage = Stage::Answering(messages.clone(), std::mem::take(talk));
                    self.answer(key)?;
                }
                Ok(())
            }
            Stage::Answering(..) => Ok(()),
        }
    }

    /// Sends an answer, or as much of it as goes.
    fn answer(&mut self, key: u64) -> Result<(), Over> {
        let connection = &mut self.connections[key as usize];
        let Stage::Answering(messages, talk) = &mut connection.stage else { return Ok(()) };
        if !talk.send(&connection.socket, &messages.answer, &mut self.scratch).map_err(told)? {
            return self.watch.want_room(&connection.socket, key, true).map_err(told);
        }
        self.exchanges += 1;
        talk.number += 1;
        connection.stage = Stage::Listening(messages.clone(), std::mem::take(talk));
        Ok(())
    }

    fn open(&mut self, key: u64) -> Result<(), Over> {
        let connection = &mut self.connections[key as usize];
        let Stage::Opening(words) = &connection.stage else { return Ok(()) };
        let (shape, from) = match opening::read(words) {
            Opening::Unfinished => return Ok(()),
            Opening::Messages { shape, from } => (shape, from),
            Opening::Count => return Err(reply(&connection.socket, &self.exchanges.to_string())),
            Opening::Ping => return Err(reply(&connection.socket, "pong")),
            Opening::Strange => return Err(told(io::Error::other("an opening that is not understood"))),
        };
        let made = || Rc::new(Messages { ask: Message::ask(shape), answer: Message::answer(shape) });
        let messages = self.messages.entry(shape).or_insert_with(made).clone();
        if shape.websocket {
            send_short(&connection.socket, SWITCH)?;
        }
        let mut talk = Talk::default();
        let whole = talk.take(&messages.ask, &words[from..]).map_err(told)?;
        connection.stage = if whole { Stage::Answering(messages, talk) } else { Stage::Listening(messages, talk) };
        self.answer(key)
    }
}

/// Answers one of the benchmark's own questions; the connection is over then.
fn reply(socket: &OwnedFd, body: &str) -> Over {
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // It is over either way.
    let _ = send_short(socket, &answer);
    Over
}

/// Sends what fits into any empty socket buffer.
fn send_short(socket: &OwnedFd, text: &str) -> Result<(), Over> {
    match send(socket, text.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(sent) if sent == text.len() => Ok(()),
        _ => Err(Over),
    }
}

/// Says what was wrong; a benchmark whose bytes are wrong must not pass in silence.
fn told(fault: io::Error) -> Over {
    eprintln!("bench-messages: origin: {fault}");
    Over
}
