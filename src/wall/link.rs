//! The link between control and one worker: orders down, reports up, a doorbell each way.
//!
//! A crossbeam channel carries the values; a socket pair carries the ring of the bell, because each
//! side sleeps in its own event loop and only a descriptor wakes both. A full doorbell needs no
//! second ring, so a write that would block is dropped. Out of scope: what anybody does with an order
//! or a report.

use std::any::Any;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::epoch::Epoch;
use super::listen::Entrance;
use crate::ids::{EndpointId, EpochId, ListenerId, ServiceId, WorkerId};
use crate::limits::REPORTS_WAITING_MAX;

/// Control to worker. Epochs may be skipped, never reordered.
#[derive(Debug)]
pub enum Order {
    /// Run on this epoch from the next request on.
    Adopt(Arc<Epoch>),
    /// The answer to `Report::ReloadAsked` with the same ticket: HTTP status and JSON envelope body.
    ReloadAnswer {
        /// The ticket of the question.
        ticket: u64,
        /// HTTP status.
        status: u16,
        /// `data` of the envelope when the status is 200, else `errmsg`.
        text: Box<str>,
    },
    /// Answer with `Report::Pong`: the worker's loop turns.
    Ping,
    /// Accept on this socket from now on. A worker may have several of one listener.
    Listen {
        /// Of which listener the socket is one.
        listener: ListenerId,
        /// What its connections are.
        entrance: Entrance,
        /// The socket, non-blocking; control has a handle of its own on it.
        socket: TcpListener,
    },
    /// Stop accepting on every socket of this listener, once what waits in their queues is accepted.
    Unlisten {
        /// Which.
        listener: ListenerId,
    },
    /// Stop. For the delay everything is served as before, but `/ping` and every answer say that it is about to
    /// end. Then nothing more is accepted (what waits in the accept queue is, first), and what is open has the
    /// window; what is still open after it is cut. Ends with `Report::Drained`.
    Drain {
        /// How long it is served on.
        delay_ms: u64,
        /// How long what is open may take after that.
        window_ms: u64,
        /// The gateway goes on in another process: `/ping` says nothing of the end.
        goes_on: bool,
    },
}

/// What is open on a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Client connections that no request has come on, or none since the last answer.
    pub idle: usize,
    /// Client connections with a request under way.
    pub exchanges: usize,
    /// Tunnels.
    pub tunnels: usize,
}

/// Worker to control.
#[derive(Debug)]
pub enum Report {
    /// The worker runs, on this rung of the driver ladder.
    Ready {
        /// Who.
        worker: WorkerId,
        /// Name of the rung, as printed at start.
        driver: &'static str,
    },
    /// New requests on this worker run on this epoch.
    Adopted {
        /// Who.
        worker: WorkerId,
        /// Which.
        epoch: EpochId,
    },
    /// This worker accepts on one more socket.
    Listening {
        /// Who.
        worker: WorkerId,
        /// Of which listener the socket is one.
        listener: ListenerId,
    },
    /// The last exchange on this epoch has ended; the `Arc` comes up so that its drop, which may be
    /// large, never happens on a data core.
    Released {
        /// Who.
        worker: WorkerId,
        /// The epoch given back.
        epoch: Arc<Epoch>,
    },
    /// A dial failed on this worker, on the epoch named.
    ConnectFailed {
        /// Of which epoch's snapshot the endpoint is.
        epoch: EpochId,
        /// Which endpoint.
        endpoint: EndpointId,
    },
    /// A breaker turned, or an endpoint was ejected: for the log.
    Noticed(Noticed),
    /// An allowed client asked for `/reload`.
    ReloadAsked {
        /// Who.
        worker: WorkerId,
        /// Comes back in `Order::ReloadAnswer`.
        ticket: u64,
    },
    /// The answer to `Order::Ping`.
    Pong {
        /// Who.
        worker: WorkerId,
    },
    /// What a worker that drains still waits for.
    Draining {
        /// Who.
        worker: WorkerId,
        /// What.
        open: Open,
    },
    /// Nothing is in flight on this worker any more and it has ended.
    Drained {
        /// Who.
        worker: WorkerId,
        /// Exchanges and tunnels cut at the end of the window.
        cut: u64,
        /// What it served, in one line for the log.
        summary: String,
    },
    /// The worker's thread ended by a panic or could not start.
    Died {
        /// Who.
        worker: WorkerId,
        /// Why.
        cause: String,
    },
}

/// What a panic says, as a cause.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("it says nothing"))
}

/// What was noticed, and of whom.
#[derive(Clone, Copy, Debug)]
pub struct Noticed {
    /// Of which epoch's snapshot they are.
    pub epoch: EpochId,
    /// The service.
    pub service: ServiceId,
    /// The endpoint; `None` where it is the service's own breaker.
    pub endpoint: Option<EndpointId>,
    /// What.
    pub notice: Notice,
}

/// What workers notice of a service or an endpoint by how its attempts end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Its breaker opened.
    BreakerOpened,
    /// Its breaker closed.
    BreakerClosed,
    /// It was ejected.
    Ejected,
}

/// The ring of a doorbell, held by the sender.
#[derive(Debug)]
pub struct Bell(UnixStream);

impl Bell {
    /// Rings. A bell that is already ringing, or whose listener is gone, needs nothing.
    pub fn ring(&self) {
        let _ = (&self.0).write(&[1]);
    }

    /// A second handle on the same bell.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Bell)
    }
}

/// A doorbell: what is rung, and the non-blocking socket that becomes readable.
///
/// # Errors
/// When the process is out of descriptors.
pub fn doorbell() -> std::io::Result<(Bell, UnixStream)> {
    let (rung, heard) = UnixStream::pair()?;
    rung.set_nonblocking(true)?;
    heard.set_nonblocking(true)?;
    Ok((Bell(rung), heard))
}

/// Empties a doorbell that became readable.
pub fn silence(mut heard: &UnixStream) {
    let mut scrap = [0; 64];
    while matches!(heard.read(&mut scrap), Ok(n) if n == scrap.len()) {}
}

/// Control's end of the link to one worker.
#[derive(Debug)]
pub struct ControlEnd {
    /// Whose.
    pub worker: WorkerId,
    orders: Sender<Order>,
    bell: Bell,
}

impl ControlEnd {
    /// Sends an order and rings. An order to a dead worker is dropped: its `Report::Died` tells.
    pub fn send(&self, order: Order) {
        let _ = self.orders.send(order);
        self.bell.ring();
    }
}

/// A worker's end of the link.
#[derive(Debug)]
pub struct WorkerEnd {
    /// Whose.
    pub worker: WorkerId,
    /// Orders, in the order they were sent.
    pub orders: Receiver<Order>,
    /// Readable when there are orders.
    pub heard: UnixStream,
    /// The way up.
    pub reports: ReportSender,
}

/// The way up, shared by all workers; each holds its own handle.
#[derive(Debug)]
pub struct ReportSender {
    reports: Sender<Report>,
    bell: Bell,
}

impl ReportSender {
    /// Sends a report and rings control's bell. A report to a control that has gone is dropped.
    pub fn send(&self, report: Report) {
        let _ = self.reports.send(report);
        self.bell.ring();
    }

    /// Sends a report that control can do without: it is dropped while control is stuck and others wait.
    pub fn hint(&self, report: Report) {
        if self.reports.len() < REPORTS_WAITING_MAX {
            self.send(report);
        }
    }

    /// Another handle.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self { reports: self.reports.clone(), bell: self.bell.try_clone()? })
    }
}

/// Control's receiving end of every worker's reports.
#[derive(Debug)]
pub struct Reports {
    /// The reports, from all workers.
    pub reports: Receiver<Report>,
    /// Readable when there are reports.
    pub heard: UnixStream,
}

/// The way up, to be made once; each worker's end comes from `connect`.
///
/// # Errors
/// When the process is out of descriptors.
pub fn report_channel() -> std::io::Result<(ReportSender, Reports)> {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let (bell, heard) = doorbell()?;
    Ok((ReportSender { reports: sender, bell }, Reports { reports: receiver, heard }))
}

/// Links control to one worker.
///
/// # Errors
/// When the process is out of descriptors.
pub fn connect(worker: WorkerId, up: &ReportSender) -> std::io::Result<(ControlEnd, WorkerEnd)> {
    let (orders, receiver) = crossbeam_channel::unbounded();
    let (bell, heard) = doorbell()?;
    Ok((ControlEnd { worker, orders, bell }, WorkerEnd { worker, orders: receiver, heard, reports: up.try_clone()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_that_is_stuck_is_told_no_more_than_it_needs() {
        let (up, control) = report_channel().expect("descriptors");
        for _ in 0..2 * REPORTS_WAITING_MAX {
            up.hint(Report::ConnectFailed { epoch: EpochId(1), endpoint: EndpointId(0) });
        }
        up.send(Report::Adopted { worker: WorkerId(0), epoch: EpochId(1) });
        let told: Vec<Report> = control.reports.try_iter().collect();
        assert_eq!(told.len(), REPORTS_WAITING_MAX + 1);
        assert!(matches!(told.last(), Some(Report::Adopted { .. })), "what it needs comes through");
    }

    #[test]
    fn an_order_rings_and_silence_ends_the_ringing() {
        let (up, _reports) = report_channel().expect("descriptors");
        let (control, worker) = connect(WorkerId(3), &up).expect("descriptors");
        for _ in 0..200 {
            control.send(Order::Drain { delay_ms: 0, window_ms: 1, goes_on: false });
        }
        assert_eq!(worker.orders.try_iter().count(), 200);
        let mut byte = [0; 1];
        assert_eq!((&worker.heard).read(&mut byte).expect("rung"), 1);
        silence(&worker.heard);
        assert_eq!((&worker.heard).read(&mut byte).expect_err("silent").kind(), std::io::ErrorKind::WouldBlock);
    }
}
