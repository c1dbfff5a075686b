//! A worker's thread: pinned, on its rung of the driver ladder, reporting its end whatever it is.
//!
//! A panic outside of a connection's task ends the worker. Its connections are then ended in its own runtime, which
//! is whole but for the task that panicked, before the death is reported and another worker takes its place.
//! Out of scope: what the shard does (`accept`, `orders`, `session`).

pub mod driver;
#[cfg(debug_assertions)]
pub mod fault;
pub mod orders;

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use self::driver::Driver;
use self::orders::AcceptLoops;
use super::io;
use super::runtime::{self, Runtime};
use super::shard::{Shard, Shared};
use crate::wall::link::{Open, Report, WorkerEnd, panic_text};

/// What a worker is started with.
pub struct Post {
    /// Its end of the link.
    pub link: WorkerEnd,
    /// The core to be pinned to; `None` leaves it to the kernel.
    pub core: Option<core_affinity::CoreId>,
    /// The rung to begin on.
    pub driver: Driver,
    /// Whether lower rungs may be tried.
    pub may_descend: bool,
    /// What all workers share.
    pub shared: Shared,
}

/// Starts a worker.
///
/// # Errors
/// When the thread cannot be made, or the process is out of descriptors.
pub fn spawn(post: Post) -> std::io::Result<JoinHandle<()>> {
    let worker = post.link.worker;
    let reports = post.link.reports.try_clone()?;
    std::thread::Builder::new().name(format!("gk-worker-{worker}")).spawn(move || {
        let died = |cause| Report::Died { worker, cause };
        let ended = catch_unwind(AssertUnwindSafe(|| serve(post)));
        reports.send(match ended {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => died(error.to_string()),
            Err(panic) => died(panic_text(&*panic)),
        });
    })
}

/// Runs the shard until it has drained, or winds it up where it dies.
fn serve(post: Post) -> std::io::Result<Report> {
    // A core that went away since start is no reason not to serve.
    let core = post.core.filter(|core| core_affinity::set_for_current(*core)).map(|core| core.id);
    let (driver, engine) = build(post.driver, post.may_descend)?;
    // However this worker ends, operations of its connections may still be in the kernel's hands: the runtime
    // is leaked, never dropped under them. Where it ends well, the process ends next.
    let mut engine = ManuallyDrop::new(engine);
    let Post { link, shared, .. } = post;
    let worker = link.worker;
    let shard = Shard::new(worker, shared, link.reports.try_clone()?, engine.turns());
    shard.meter.pinned(core);
    let loops = AcceptLoops::default();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        engine.block_on(async {
            shard.reports.send(Report::Ready { worker, driver: driver.name() });
            let (sweeping, ticking) = (shard.clone(), shard.clone());
            let tick = move |late_us| ticking.meter.tick(late_us, ticking.clock.cpu_us());
            runtime::spawn(shard.deadlines.clone().sweep(move || sweeping.sweep(), tick));
            orders::obey(&shard, link, &loops).await
        })
    }));
    let cause = match ended {
        Ok(Ok(cut)) => return Ok(Report::Drained { worker, cut, summary: shard.last_words() }),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic_text(&*panic),
    };
    shard.shared.handovers.publish(worker, None);
    // The tasks of its connections are whole: they end in the same runtime, and give their descriptors back.
    let wound_up = catch_unwind(AssertUnwindSafe(|| engine.block_on(orders::wind_up(&shard, &loops))));
    if wound_up.is_err() || shard.open() != Open::default() {
        // What cannot end by itself is at least ended for its peers.
        io::sever_all();
    }
    Ok(Report::Died { worker, cause })
}

fn build(first: Driver, may_descend: bool) -> std::io::Result<(Driver, Runtime)> {
    let from = Driver::LADDER.iter().position(|rung| *rung == first).unwrap_or(0);
    let mut refusal = None;
    for rung in &Driver::LADDER[from..] {
        match rung.runtime() {
            Ok(runtime) => return Ok((*rung, runtime)),
            Err(error) if may_descend => refusal = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refusal.unwrap_or_else(|| std::io::ErrorKind::Unsupported.into()))
}
