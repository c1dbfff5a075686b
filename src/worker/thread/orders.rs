//! Obeying control: the doorbell, the orders, the end, good or bad.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::ids::{EpochId, ListenerId};
use crate::limits::{CUT_GRACE_MS, DEADLINE_TICK_MS, DRAIN_REPORT_MS};
use crate::wall::link::{Open, Order, Report, WorkerEnd, silence};
use crate::worker::accept::{self, Door, Gate};
use crate::worker::io::Readiness;
use crate::worker::runtime::{self, JoinHandle};
use crate::worker::shard::Shard;
use crate::worker::shard::tickets::Answer;

/// An accept loop.
pub struct Accepting {
    listener: ListenerId,
    gate: Rc<Gate>,
    ended: JoinHandle,
}

/// A worker's accept loops.
pub type AcceptLoops = RefCell<Vec<Accepting>>;

/// How long everything goes on, and how long what is open then has.
struct Drain {
    delay_ms: u64,
    window_ms: u64,
    goes_on: bool,
}

/// Obeys until drained. Gives the number of exchanges and tunnels cut at the end of the drain window.
///
/// # Errors
/// When the doorbell or a listening socket cannot be used.
pub async fn obey(shard: &Rc<Shard>, link: WorkerEnd, loops: &AcceptLoops) -> io::Result<u64> {
    let bell = Readiness::of_bell(&link.heard)?;
    let handed = Readiness::of_bell(shard.shared.handovers.heard(shard.worker))?;
    runtime::spawn(accept::take_in(shard.clone(), handed));
    loop {
        for order in link.orders.try_iter() {
            if let Some(Drain { delay_ms, window_ms, goes_on }) = carry_out(shard, order, loops)? {
                shard.start_leaving(goes_on);
                pass(shard, &link, delay_ms, |_| true).await;
                shard.start_draining(window_ms);
                stop_accepting(loops.take()).await;
                return Ok(drain(shard, &link, window_ms).await);
            }
        }
        bell.readable().await?;
        silence(&link.heard);
    }
}

/// Does what is ordered; the times where it is to drain.
fn carry_out(shard: &Rc<Shard>, order: Order, loops: &AcceptLoops) -> io::Result<Option<Drain>> {
    match order {
        Order::Listen { listener, entrance, socket } => {
            shard.admission.reserve();
            let gate = Rc::new(Gate::default());
            let door = Door::open(socket, entrance, shard.epoch().map_or(EpochId(0), |epoch| epoch.epoch().id))?;
            let ended = runtime::spawn(accept::run(shard.clone(), door, gate.clone()));
            loops.borrow_mut().push(Accepting { listener, gate, ended });
            shard.reports.send(Report::Listening { worker: shard.worker, listener });
        }
        Order::Unlisten { listener } => loops.borrow_mut().retain(|one| {
            if one.listener == listener {
                one.gate.close();
            }
            one.listener != listener
        }),
        Order::Drain { delay_ms, window_ms, goes_on } => return Ok(Some(Drain { delay_ms, window_ms, goes_on })),
        Order::Adopt(_) | Order::ReloadAnswer { .. } | Order::Ping => heed(shard, order),
    }
    Ok(None)
}

/// Does what is ordered of a worker in whatever state it is.
fn heed(shard: &Shard, order: Order) {
    match order {
        Order::Adopt(epoch) => shard.adopt(epoch),
        Order::ReloadAnswer { ticket, status, text } => shard.tickets.answer(ticket, Answer { status, text }),
        Order::Ping => shard.reports.send(Report::Pong { worker: shard.worker }),
        Order::Listen { .. } | Order::Unlisten { .. } | Order::Drain { .. } => {}
    }
}

async fn stop_accepting(loops: Vec<Accepting>) {
    loops.iter().for_each(|one| one.gate.close());
    for one in loops {
        one.ended.await;
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

/// Lets time pass while that holds, and tells control of what is open.
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
        runtime::sleep(Duration::from_millis(DEADLINE_TICK_MS)).await;
        link.orders.try_iter().for_each(|order| heed(shard, order));
    }
}

/// Ends a worker that has died: its connections end as at the end of a stop's window, and what waits in its accept
/// queues and its inlet is left to the worker that takes its place.
pub async fn wind_up(shard: &Rc<Shard>, loops: &AcceptLoops) {
    #[cfg(debug_assertions)]
    super::fault::again();
    shard.start_draining(0);
    shard.cut();
    loops.take().iter().for_each(|one| one.gate.close());
    // The one that ran may be what died.
    runtime::spawn(shard.deadlines.clone().sweep(|| false, |_| ()));
    shard.let_go();
    let until_ns = shard.clock.precise_ns() + CUT_GRACE_MS * 1_000_000;
    while shard.open() != Open::default() && shard.clock.precise_ns() < until_ns {
        runtime::sleep(Duration::from_millis(DEADLINE_TICK_MS / 10)).await;
    }
}
