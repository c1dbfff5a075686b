//! The loop: what is due goes out on a free connection or waits for one, answers come in.
//!
//! In scope: the order of things, and which requests count: those that were due after the warming. Out of scope: the
//! instants (`schedule`), the bytes (`connection`), the figures (`tally`).

use crate::args::Args;
use crate::connection::Connection;
use crate::schedule::Schedule;
use crate::tally::Tally;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

const EVENTS_MAX: usize = 1024;
const SCRATCH_BYTES: usize = 64 * 1024;
/// How long the last answers are waited for.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Load {
    args: Args,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Those without a request on its way.
    free: Vec<usize>,
    /// When requests were due that have not gone for want of a free connection.
    waiting: VecDeque<Duration>,
    schedule: Schedule,
    requests: Vec<Vec<u8>>,
    draw: u64,
    tally: Tally,
    begun: Instant,
}

impl Load {
    /// Opens the connections.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn new(args: Args) -> Result<Self, Box<dyn std::error::Error>> {
        let mut load = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(args.connections.get()),
            free: (0..args.connections.get()).collect(),
            waiting: VecDeque::new(),
            schedule: Schedule::new(args.rate, args.total),
            requests: requests(&args),
            draw: 0x9e37_79b9_7f4a_7c15,
            tally: Tally::new(args.total.saturating_sub(args.warm))?,
            begun: Instant::now(),
            args,
        };
        for key in 0..load.args.connections.get() {
            let connection = Connection::open(load.args.connect)?;
            epoll::add(&load.epoll, &connection.socket, EventData::new_u64(key as u64), EventFlags::IN)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// The kernel's, when epoll fails or a connection that broke cannot be opened again.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut scratch = vec![0; SCRATCH_BYTES];
        self.begun = Instant::now();
        loop {
            let now = self.begun.elapsed();
            while let Some(due) = self.schedule.take(now) {
                self.waiting.push_back(due);
            }
            self.send()?;
            let on_their_way = self.connections.len() - self.free.len();
            let over = self.schedule.peek().is_none() && self.waiting.is_empty() && on_their_way == 0;
            if over || now > self.args.total + LAST_PATIENCE {
                // What was never answered is no answer.
                self.tally.errors += (self.waiting.len() + on_their_way) as u64;
                return Ok(());
            }
            self.wait(&mut events)?;
            for event in &events {
                self.receive(event.data.u64() as usize, &mut scratch)?;
            }
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Puts what waits on free connections, the one that waits longest first.
    fn send(&mut self) -> io::Result<()> {
        while let (Some(&due), Some(&key)) = (self.waiting.front(), self.free.last()) {
            self.waiting.pop_front();
            self.free.pop();
            self.draw ^= self.draw << 13;
            self.draw ^= self.draw >> 7;
            self.draw ^= self.draw << 17;
            let request = &self.requests[(self.draw % self.requests.len() as u64) as usize];
            if due >= self.args.warm {
                self.tally.sent(self.begun.elapsed() - due);
            }
            if self.connections[key].ask(request, due).is_err() {
                self.replace(key)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, key: usize, scratch: &mut [u8]) -> io::Result<()> {
        match self.connections[key].receive(scratch) {
            Ok(None) => {}
            Ok(Some(is_good)) => {
                let due = self.connections[key].due.take();
                if let Some(due) = due.filter(|due| *due >= self.args.warm) {
                    self.tally.answered(self.begun.elapsed() - due);
                }
                self.tally.errors += u64::from(!is_good);
                self.free.push(key);
            }
            Err(_) => self.replace(key)?,
        }
        Ok(())
    }

    /// A connection broke: an error, and another one in its place.
    fn replace(&mut self, key: usize) -> io::Result<()> {
        self.tally.errors += 1;
        let was_free = self.connections[key].due.is_none();
        self.connections[key] = Connection::open(self.args.connect)?;
        epoll::add(&self.epoll, &self.connections[key].socket, EventData::new_u64(key as u64), EventFlags::IN)?;
        if !was_free {
            self.free.push(key);
        }
        Ok(())
    }

    /// Waits for answers until the next request is due.
    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        let next = self.schedule.peek().unwrap_or(self.args.total + LAST_PATIENCE);
        let left = next.saturating_sub(self.begun.elapsed());
        let limit = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}

/// The requests to draw from.
fn requests(args: &Args) -> Vec<Vec<u8>> {
    let request =
        |prefix: String| format!("GET {prefix}{} HTTP/1.1\r\nHost: {}\r\n\r\n", args.path, args.connect).into_bytes();
    match args.services {
        0 => vec![request(String::new())],
        services => (0..services).map(|number| request(format!("/s{number}"))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    /// A server of one connection that answers `status` and is not there for `pause` once, after the first request.
    fn server(status: &'static str, pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client.set_nodelay(true).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
            let mut scratch = [0; 4096];
            let mut pause = Some(pause);
            while client.read(&mut scratch).is_ok_and(|bytes| bytes > 0) {
                std::thread::sleep(pause.take().unwrap_or_default());
                if client.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        address
    }

    /// Half a second of 200 requests a second on one connection; its figures as text.
    fn figures(status: &'static str, pause: Duration) -> String {
        let line = format!(
            "bench-steady --connect {} --rate 200 --connections 1 --warm 0 --seconds 0.5",
            server(status, pause)
        );
        let mut load = Load::new(Args::try_parse_from(line.split(' ')).unwrap()).unwrap();
        load.run().unwrap();
        load.tally().to_string()
    }

    fn figure(told: &str, name: &str) -> u64 {
        let (_, rest) = told.split_once(&format!("\"{name}\": ")).unwrap();
        rest[..rest.find([',', '}']).unwrap()].parse().unwrap()
    }

    #[test]
    fn a_pause_is_seen_by_every_request_that_was_due_in_it() {
        let told = figures("200 OK", Duration::from_millis(300));
        assert_eq!((figure(&told, "requests"), figure(&told, "errors")), (100, 0), "{told}");
        // 60 of the 100 were due while nobody answered; the one in the middle waited for half of that time.
        assert!(figure(&told, "p50_us") > 10_000, "{told}");
        assert!(figure(&told, "p90_us") > 200_000, "{told}");
    }

    #[test]
    fn refusals_are_errors() {
        let told = figures("503 Service Unavailable", Duration::ZERO);
        assert_eq!((figure(&told, "requests"), figure(&told, "errors")), (100, 100), "{told}");
    }

    #[test]
    fn what_is_never_answered_is_an_error() {
        let told = figures("200 OK", Duration::from_secs(60));
        assert_eq!((figure(&told, "requests"), figure(&told, "errors")), (0, 100), "{told}");
    }
}
