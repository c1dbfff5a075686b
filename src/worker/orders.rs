//! Obeying control: the doorbell, the orders, the end.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;

use monoio::net::UnixStream;

use super::accept;
use super::shard::Shard;
use super::tickets::Answer;
use crate::limits::{CUT_GRACE_MS, DEADLINE_TICK_MS, DRAIN_IDLE_GRACE_MS};
use crate::wall::link::{Order, Report, WorkerEnd, silence};

/// Obeys until drained. Accepting begins with the first epoch. Gives the number of client connections cut
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
                        accepting = Some(monoio::spawn(accept::run(shard.clone(), accept::open(listener)?)));
                    }
                }
                Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
                Order::Ping => shard.reports.send(Report::Pong { worker: shard.worker }),
                Order::Drain { window_ms } => {
                    stop_accepting(shard);
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

fn stop_accepting(shard: &Shard) {
    shard.start_draining();
    if let Some(canceller) = shard.accepting.borrow_mut().take() {
        canceller.cancel();
    }
}

/// Waits until no client connection is left, idle ones being closed soon, or the window is over; what is
/// still open then is told so.
async fn drain(shard: &Rc<Shard>, link: &WorkerEnd, window_ms: u64) -> u64 {
    shard.deadlines.shorten_idle(DRAIN_IDLE_GRACE_MS);
    wait_for_sessions(shard, link, window_ms).await;
    let open = shard.sessions() as u64;
    if open > 0 {
        shard.cut();
        wait_for_sessions(shard, link, CUT_GRACE_MS).await;
    }
    open
}

async fn wait_for_sessions(shard: &Rc<Shard>, link: &WorkerEnd, window_ms: u64) {
    // By the clock, not by the number of sleeps: on a busy machine each takes longer, and control waits no longer.
    let until_ns = shard.clock.precise_ns() + window_ms * 1_000_000;
    while shard.sessions() > 0 && shard.clock.precise_ns() < until_ns {
        monoio::time::sleep(std::time::Duration::from_millis(DEADLINE_TICK_MS)).await;
        for order in link.orders.try_iter() {
            match order {
                Order::Adopt(epoch) => shard.adopt(epoch),
                Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
                Order::Ping => shard.reports.send(Report::Pong { worker: shard.worker }),
                Order::Drain { .. } => {}
            }
        }
    }
}
