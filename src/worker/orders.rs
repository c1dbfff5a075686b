//! Obeying control: the doorbell, the orders, the end.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::accept::{self, Door, Gate};
use super::io::Readiness;
use super::runtime::{self, JoinHandle};
use super::shard::Shard;
use super::tickets::Answer;
use crate::ids::ListenerId;
use crate::limits::{CUT_GRACE_MS, DEADLINE_TICK_MS, DRAIN_IDLE_GRACE_MS};
use crate::wall::link::{Order, Report, WorkerEnd, silence};

/// An accept loop.
struct Accepting {
    listener: ListenerId,
    gate: Rc<Gate>,
    ended: JoinHandle,
}

/// Obeys until drained. Gives the number of client connections cut at the end of the drain window.
///
/// # Errors
/// When the doorbell or a listening socket cannot be used.
pub async fn obey(shard: &Rc<Shard>, link: WorkerEnd) -> io::Result<u64> {
    let bell = Readiness::of_bell(&link.heard)?;
    let accepting = RefCell::new(Vec::new());
    loop {
        for order in link.orders.try_iter() {
            if let Some(window_ms) = carry_out(shard, order, &accepting)? {
                shard.start_draining(window_ms);
                stop_accepting(accepting.take()).await;
                return Ok(drain(shard, &link, window_ms).await);
            }
        }
        bell.readable().await?;
        silence(&link.heard);
    }
}

/// Does what is ordered; the window where it is to drain.
fn carry_out(shard: &Rc<Shard>, order: Order, accepting: &RefCell<Vec<Accepting>>) -> io::Result<Option<u64>> {
    match order {
        Order::Adopt(epoch) => shard.adopt(epoch),
        Order::Listen { listener, entrance, socket } => {
            let gate = Rc::new(Gate::default());
            let door = Door::open(socket, entrance)?;
            let ended = runtime::spawn(accept::run(shard.clone(), door, gate.clone()));
            accepting.borrow_mut().push(Accepting { listener, gate, ended });
            shard.reports.send(Report::Listening { worker: shard.worker, listener });
        }
        Order::Unlisten { listener } => accepting.borrow_mut().retain(|one| {
            if one.listener == listener {
                one.gate.close();
            }
            one.listener != listener
        }),
        Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
        Order::Drain { window_ms } => return Ok(Some(window_ms)),
    }
    Ok(None)
}

async fn stop_accepting(accepting: Vec<Accepting>) {
    accepting.iter().for_each(|one| one.gate.close());
    for one in accepting {
        one.ended.await;
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
        runtime::sleep(std::time::Duration::from_millis(DEADLINE_TICK_MS)).await;
        for order in link.orders.try_iter() {
            match order {
                Order::Adopt(epoch) => shard.adopt(epoch),
                Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
                Order::Listen { .. } | Order::Unlisten { .. } | Order::Drain { .. } => {}
            }
        }
    }
}
