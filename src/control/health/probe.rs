//! One probe of one endpoint: connect, and for `Http` one GET over that connection.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::pulse::Pulse;
use crate::control::dns::Answers;
use crate::control::state::{Key, Shown};
use crate::limits;
use crate::wall::snapshot::CheckMethod;

/// What one probe found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Healthy.
    Passed,
    /// Not healthy, and why.
    Failed(String),
    /// The fault was ours, so it says nothing about the endpoint.
    Unclear(String),
}

/// Where to dial.
pub(super) enum Target {
    /// One address.
    Socket(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
    /// Whatever the name resolves to, at this port.
    Name(Answers, u16),
}

impl Target {
    /// Until there are other addresses; for ever where there never are.
    pub(super) async fn changed(&mut self) {
        match self {
            Self::Name(answers, _) => answers.changed().await,
            Self::Socket(_) | Self::Unix(_) => std::future::pending().await,
        }
    }
}

/// Why a probe did not pass.
enum Miss {
    Theirs(String),
    Ours(String),
}

/// Probes once, within the check's timeout.
pub(super) async fn probe(target: &mut Target, key: &Key, pulse: &Pulse) -> Finding {
    let lag_before = pulse.lag();
    let deadline = Duration::from_millis(key.check.timeout_ms.into());
    match timeout(deadline, reach(target, key, deadline)).await {
        Ok(Ok(())) => Finding::Passed,
        Ok(Err(Miss::Theirs(why))) => Finding::Failed(why),
        Ok(Err(Miss::Ours(why))) => Finding::Unclear(why),
        Err(_) => {
            let lag = pulse.lag() - lag_before;
            if lag > deadline / 4 {
                return Finding::Unclear(format!("timed out while this process was {} ms late", lag.as_millis()));
            }
            Finding::Failed(format!("no answer within {} ms", deadline.as_millis()))
        }
    }
}

async fn reach(target: &mut Target, key: &Key, deadline: Duration) -> Result<(), Miss> {
    match target {
        Target::Socket(address) => ask(TcpStream::connect(*address).await, key).await,
        Target::Unix(path) => ask(UnixStream::connect(path).await, key).await,
        Target::Name(answers, port) => {
            let addresses = answers.known().await;
            reach_any(&addresses.iter().map(|ip| SocketAddr::new(*ip, *port)).collect::<Vec<_>>(), key, deadline).await
        }
    }
}

/// A name is as healthy as the best of its addresses: a worker that dials it tries them all. Each
/// gets an equal share of the time, so one that swallows packets does not hide the next.
async fn reach_any(addresses: &[SocketAddr], key: &Key, deadline: Duration) -> Result<(), Miss> {
    let mut last = Miss::Theirs("the name does not resolve".into());
    for address in addresses {
        let share = deadline / addresses.len() as u32;
        let attempt = async { ask(TcpStream::connect(address).await, key).await };
        last = match timeout(share, attempt).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(miss)) => miss,
            Err(_) => Miss::Theirs(format!("{address}: no answer within {} ms", share.as_millis())),
        };
    }
    Err(last)
}

async fn ask<S>(connected: io::Result<S>, key: &Key) -> Result<(), Miss>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let stream = connected.map_err(|error| connect_miss(&error))?;
    match &key.check.method {
        CheckMethod::Tcp => Ok(()),
        CheckMethod::Http { path } => get(stream, path, &Shown(&key.address).to_string()).await.map_err(Miss::Theirs),
    }
}

/// Running out of something here is no verdict on anybody over there.
fn connect_miss(error: &io::Error) -> Miss {
    use rustix::io::Errno;
    const OURS: [Errno; 6] =
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL, Errno::AGAIN];
    let ours = error.raw_os_error().is_some_and(|code| OURS.iter().any(|errno| errno.raw_os_error() == code));
    if ours { Miss::Ours(error.to_string()) } else { Miss::Theirs(error.to_string()) }
}

/// One GET over a connection of its own; only 200 is healthy.
async fn get<S>(stream: S, path: &str, host: &str) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let host = if host.starts_with("unix:") { "localhost" } else { host };
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "gatekeeper-health")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        discard(response.into_body()).await;
        if status == StatusCode::OK { Ok(()) } else { Err(format!("status {}", status.as_u16())) }
    };
    // A connection that ends first has handed its answer over, or the reason why there is none.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = exchange => result,
        () = driven => Err("the connection ended".into()),
    }
}

/// Reads a small body to its end, so that closing does not reset the peer; the verdict stands already.
async fn discard(mut body: Incoming) {
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > limits::PROBE_BODY_BYTES_MAX {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = sleep(Duration::from_millis(limits::PROBE_GAP_MS)) => {}
    }
}
