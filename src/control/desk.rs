//! Where `gatekeeper upgrade` asks a running gateway, and how it asks.
//!
//! A Unix socket in the abstract namespace, named after the process, so that there is no file to place, to own or to
//! clean up. The kernel says who asks: root and the gateway's own user are heard. One line is asked, one line is
//! answered: `ok …` or `no …`. Out of scope: what comes of it (`state::upgrade`).

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::warn;

use super::state::{Event, Wisher};
use crate::limits::{DESK_ASKERS_MAX, DESK_LINE_BYTES_MAX, DESK_PATIENCE_MS, WORKERS_MAX};

/// Before the number of the process in the socket's name.
const NAME: &str = "gatekeeper/";

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<String, String>>>>>;

/// Who waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Answers,
}

impl Desk {
    /// Opens it. Without it the gateway serves all the same.
    pub(super) fn open(events: mpsc::Sender<Event>) -> Self {
        let desk = Self::default();
        let waiting = Arc::clone(&desk.waiting);
        match listener() {
            Ok(listener) => drop(tokio::spawn(attend(listener, waiting, events))),
            Err(error) => warn!("`gatekeeper upgrade` will not reach this process, SIGUSR2 will: {error}"),
        }
        desk
    }

    /// Tells whoever asked.
    pub(super) fn answer(&self, number: u64, outcome: Result<String, String>) {
        let asked = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some(asked) = asked {
            let _ = asked.send(outcome);
        }
    }
}

fn address(pid: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("{NAME}{pid}"))
}

fn listener() -> io::Result<tokio::net::UnixListener> {
    let listener = UnixListener::bind_addr(&address(std::process::id())?)?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

async fn attend(listener: tokio::net::UnixListener, waiting: Answers, events: mpsc::Sender<Event>) {
    let seats = Arc::new(Semaphore::new(DESK_ASKERS_MAX));
    let mut number = 0;
    while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(DESK_PATIENCE_MS / 10)).await;
            continue;
        };
        let allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw());
        if !allowed {
            continue;
        }
        number += 1;
        let (waiting, events) = (Arc::clone(&waiting), events.clone());
        tokio::spawn(async move {
            serve(stream, number, waiting, events).await;
            drop(seat);
        });
    }
}

async fn serve(mut stream: tokio::net::UnixStream, number: u64, waiting: Answers, events: mpsc::Sender<Event>) {
    let mut line = String::new();
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read.take(DESK_LINE_BYTES_MAX));
    let reading = tokio::time::timeout(Duration::from_millis(DESK_PATIENCE_MS), read.read_line(&mut line));
    let outcome = match (reading.await, question(&line)) {
        (Ok(Ok(_)), Some(cores)) => {
            let (asked, answer) = oneshot::channel();
            waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, asked);
            let asked = Event::UpgradeAsked { wisher: Wisher::Desk(number), cores };
            let _ = events.send(asked).await;
            answer.await.unwrap_or_else(|_| Err("the gateway has ended".into()))
        }
        _ => Err("nothing of the kind can be asked here".into()),
    };
    let text = match outcome {
        Ok(text) => format!("ok {text}\n"),
        Err(text) => format!("no {text}\n"),
    };
    let _ = tokio::time::timeout(Duration::from_millis(DESK_PATIENCE_MS), write.write_all(text.as_bytes())).await;
}

/// `upgrade`, or `upgrade N`.
fn question(line: &str) -> Option<Option<usize>> {
    let rest = line.strip_suffix('\n')?.strip_prefix("upgrade")?;
    match rest.strip_prefix(' ') {
        None => rest.is_empty().then_some(None),
        Some(cores) => cores.parse().ok().filter(|cores| (1..=WORKERS_MAX).contains(cores)).map(Some),
    }
}

/// Asks a running gateway for an upgrade and waits for the outcome. Without a number the one gateway of this machine
/// is meant.
///
/// # Errors
/// Why there was none, in words for the user.
pub fn ask(pid: Option<u32>, cores: Option<usize>) -> Result<String, String> {
    let pid = pid.map_or_else(only_gateway, Ok)?;
    let unreachable = |error: io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            format!("process {pid} is not a gateway that can be asked")
        }
        _ => format!("process {pid} cannot be asked: {error}"),
    };
    let mut stream = address(pid).and_then(|address| UnixStream::connect_addr(&address)).map_err(unreachable)?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|error| unreachable(error.into()))?;
    if u32::try_from(peer.pid.as_raw_nonzero().get()) != Ok(pid) {
        return Err(format!("process {} answers in the name of process {pid}", peer.pid.as_raw_nonzero()));
    }
    let line = cores.map_or("upgrade\n".to_owned(), |cores| format!("upgrade {cores}\n"));
    let mut answer = String::new();
    stream.write_all(line.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).map_err(unreachable)?;
    match answer.trim_end().split_once(' ') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some(("no", text)) => Err(text.to_owned()),
        _ => Err(format!("process {pid} has not answered: it is another user's, or it has ended")),
    }
}

fn only_gateway() -> Result<u32, String> {
    let sockets = std::fs::read_to_string("/proc/net/unix").map_err(|error| format!("/proc/net/unix: {error}"))?;
    let all = gateways(&sockets);
    match &all[..] {
        [] => Err("no gateway runs here; name its process with --pid or --pid-file".into()),
        [pid] => Ok(*pid),
        several => {
            let list: Vec<String> = several.iter().map(u32::to_string).collect();
            Err(format!("several gateways run here: {}; name one with --pid", list.join(", ")))
        }
    }
}

/// The processes whose desks are open, from the kernel's table of Unix sockets.
fn gateways(sockets: &str) -> Vec<u32> {
    let name = |line: &str| line.split_whitespace().nth(7)?.strip_prefix('@')?.strip_prefix(NAME)?.parse().ok();
    let mut all: Vec<u32> = sockets.lines().filter_map(name).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_is_understood() {
        assert_eq!(question("upgrade\n"), Some(None));
        assert_eq!(question("upgrade 2\n"), Some(Some(2)));
        for wrong in
            ["", "upgrade", "upgrade 0\n", "upgrade 1025\n", "upgrade x\n", "upgraded\n", "stop\n", "upgrade \n"]
        {
            assert_eq!(question(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn gateways_are_found_in_the_kernels_table() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     00000000cf7ac6f2: 00000002 00000000 00010000 0001 01 16381 @gatekeeper/42\n\
                     00000000cf7ac6f3: 00000003 00000000 00000000 0001 03 16382 @gatekeeper/42\n\
                     00000000cf7ac6f4: 00000002 00000000 00010000 0001 01 16383 /run/x\n\
                     00000000cf7ac6f5: 00000002 00000000 00010000 0001 01 16384 @gatekeeper/x\n\
                     00000000cf7ac6f6: 00000002 00000000 00010000 0001 01 16385\n";
        assert_eq!(gateways(table), [42]);
    }
}
