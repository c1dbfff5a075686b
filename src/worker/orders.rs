//! Obeying control: the doorbell, the orders, the end.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use monoio::net::UnixStream;

use super::accept;
use super::shard::Shard;
use super::tickets::Answer;
use crate::limits::{CUT_GRACE_MS, DEADLINE_TICK_MS, DRAIN_REPORT_MS};
use crate::wall::link::{Open, Order, Report, WorkerEnd, silence};

/// Obeys until drained. Accepting begins with the first epoch. Gives the number of exchanges and tunnels cut
/// at the end of the drain window.
///
/// # Errors
/// When the doorbell or the listener cannot be used.
pub async fn obey(shard: &Rc<Shard>, link: WorkerEnd, listener: TcpListener) -> io::Result<u64> {
    let bell = UnixStream::from_std(link.heard.try_clone()?)?;
    let mut listener = Some(listener);
    let mut accepting = None;
    loop {
        for order in link.orders.try_iter() {
            match order {
                Order::Adopt(epoch) => {
                    shard.adopt(epoch);
                    if let Some(listener) = listener.take() {
                        monoio::spawn(accept::take_in(shard.clone()));
                        shard.publish_load();
                        accepting = Some(monoio::spawn(accept::run(shard.clone(), accept::open(listener)?)));
                    }
                }
                Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
                Order::Drain { delay_ms, window_ms } => {
                    shard.start_leaving();
                    pass(shard, &link, delay_ms, |_| true).await;
                    stop_accepting(shard, window_ms);
                    if let Some(accepting) = accepting {
                        accepting.await?;
                    }
                    return Ok(drain(shard, &link, window_ms).await);
                }
            }
        }
        bell.readable(false).await?;
        silence(&link.heard);
    }
}

fn stop_accepting(shard: &Shard, window_ms: u64) {
    shard.start_draining(window_ms);
    if let Some(canceller) = shard.accepting.borrow_mut().take() {
        canceller.cancel();
    }
}

fn is_open(shard: &Shard) -> bool {
    shard.open() != Open::default() || !shard.shared.handovers.inlet(shard.worker).is_empty()
}

/// Waits until nothing is open or the window is over; what is under way then is told so.
async fn drain(shard: &Rc<Shard>, link: &WorkerEnd, window_ms: u64) -> u64 {
    pass(shard, link, window_ms, is_open).await;
    let Open { idle: _, exchanges, tunnels } = shard.open();
    if is_open(shard) {
        shard.cut();
        pass(shard, link, CUT_GRACE_MS, is_open).await;
    }
    (exchanges + tunnels) as u64
}

/// Lets time pass while that holds of what is open, and tells control of changes.
async fn pass(shard: &Rc<Shard>, link: &WorkerEnd, time_ms: u64, goes_on: impl Fn(&Shard) -> bool) {
    // By the clock, not by the number of sleeps: on a busy machine each takes longer, and control waits no longer.
    let until_ns = shard.clock.precise_ns() + time_ms * 1_000_000;
    let (mut told, mut tick) = (None, 0_u64);
    while goes_on(shard) && shard.clock.precise_ns() < until_ns {
        if tick.is_multiple_of(DRAIN_REPORT_MS / DEADLINE_TICK_MS) && told != Some(shard.open()) {
            told = Some(shard.open());
            shard.reports.send(Report::Draining { worker: shard.worker, open: shard.open() });
        }
        tick += 1;
        monoio::time::sleep(Duration::from_millis(DEADLINE_TICK_MS)).await;
        for order in link.orders.try_iter() {
            match order {
                Order::Adopt(epoch) => shard.adopt(epoch),
                Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
                Order::Drain { .. } => {}
            }
        }
    }
}
