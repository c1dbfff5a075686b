//! One probe of one endpoint: connect, and for `Http` one GET over that connection.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::pulse::Pulse;
use crate::control::state::{Spot, Target};
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

/// Why a probe did not pass.
enum Miss {
    Theirs(String),
    Ours(String),
}

/// Probes once, within the check's timeout.
pub(super) async fn probe(target: &Target, pulse: &Pulse) -> Finding {
    let stalled_before = pulse.stalled();
    let deadline = Duration::from_millis(target.check.timeout_ms.into());
    match timeout(deadline, reach(target)).await {
        Ok(Ok(())) => Finding::Passed,
        Ok(Err(Miss::Theirs(why))) => Finding::Failed(why),
        Ok(Err(Miss::Ours(why))) => Finding::Unclear(why),
        Err(_) => {
            let stalled = pulse.stalled() - stalled_before;
            if stalled > deadline / 4 {
                return Finding::Unclear(format!(
                    "timed out, and this process was stuck for {} ms",
                    stalled.as_millis()
                ));
            }
            Finding::Failed(format!("no answer within {} ms", deadline.as_millis()))
        }
    }
}

async fn reach(target: &Target) -> Result<(), Miss> {
    match &target.spot {
        Spot::Socket(address) => {
            let connected = TcpStream::connect(*address).await;
            ask(connected.map_err(|error| missed(&error, address.is_ipv4()))?, target).await
        }
        Spot::Unix(path) => {
            let connected = UnixStream::connect(path).await;
            ask(connected.map_err(|error| missed(&error, false))?, target).await
        }
    }
}

/// Running out of something here is no verdict on anybody over there. `ADDRNOTAVAIL` says that IPv4
/// has no port left, but also that this machine has no IPv6.
fn missed(error: &io::Error, ports_may_lack: bool) -> Miss {
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].into_iter().any(is);
    let ours = lacking || (ports_may_lack && is(Errno::ADDRNOTAVAIL));
    if ours { Miss::Ours(error.to_string()) } else { Miss::Theirs(error.to_string()) }
}

async fn ask<S>(stream: S, target: &Target) -> Result<(), Miss>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match &target.check.method {
        CheckMethod::Tcp => Ok(()),
        CheckMethod::Http { path, host, statuses } => {
            let status = get(stream, path, host.as_ref().unwrap_or(&target.host)).await.map_err(Miss::Theirs)?;
            let is_healthy = statuses.iter().any(|(first, last)| (*first..=*last).contains(&status));
            if is_healthy { Ok(()) } else { Err(Miss::Theirs(format!("status {status}"))) }
        }
    }
}

/// The status of one GET over a connection of its own.
async fn get<S>(stream: S, path: &str, host: &str) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
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
        Ok(status.as_u16())
    };
    // A connection that ends first has handed its answer over, or the reason why there is none.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        result = exchange => result,
        never = driven => match never {},
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    use crate::wall::snapshot::Check;

    fn origin(timeout_ms: u32) -> (TcpListener, Target) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let spot = Spot::Socket(listener.local_addr().expect("bound"));
        let method = CheckMethod::Http { path: "/".into(), host: None, statuses: [(200, 200)].into() };
        let check = Check { method, interval_ms: 1_000, timeout_ms, rise: 1, fall: 1 };
        (listener, Target { spot, host: "origin".into(), check })
    }

    /// Probes an origin that accepts and says nothing.
    async fn probe_silence(timeout_ms: u32) -> Finding {
        let (_listener, target) = origin(timeout_ms);
        probe(&target, &Pulse::start()).await
    }

    #[tokio::test]
    async fn a_timeout_is_a_failure() {
        assert_eq!(probe_silence(1_000).await, Finding::Failed("no answer within 1000 ms".into()));
    }

    #[tokio::test]
    async fn a_timeout_while_the_loop_was_stuck_does_not_count() {
        let stuck = async {
            sleep(Duration::from_millis(50)).await;
            std::thread::sleep(Duration::from_millis(300));
        };
        let (finding, ()) = tokio::join!(probe_silence(200), stuck);
        assert!(matches!(finding, Finding::Unclear(_)), "{finding:?}");
    }

    #[test]
    fn running_out_of_descriptors_or_ports_is_our_own_fault() {
        let ours = |errno: Errno, v4| matches!(missed(&errno.into(), v4), Miss::Ours(_));
        assert!(ours(Errno::MFILE, false) && ours(Errno::NFILE, true) && ours(Errno::ADDRNOTAVAIL, true));
        assert!(!ours(Errno::CONNREFUSED, true) && !ours(Errno::HOSTUNREACH, true));
        assert!(!ours(Errno::ADDRNOTAVAIL, false), "a machine without IPv6 says so");
    }

    #[tokio::test]
    async fn a_body_without_end_does_not_hold_the_verdict_up() {
        let (origin, target) = origin(2_000);
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = origin.accept().expect("a probe");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 1024]).is_ok() {}
        });
        let finding = probe(&target, &Pulse::start()).await;
        assert_eq!(finding, Finding::Passed);
    }
}
