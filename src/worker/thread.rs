//! A worker's thread: pinned, on its rung of the driver ladder, reporting its end whatever it is.
//!
//! Out of scope: what the shard does (`accept`, `orders`, `session`).

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use super::driver::Driver;
use super::orders;
use super::runtime::{self, Runtime};
use super::shard::{Shard, Shared};
use crate::wall::link::{Report, WorkerEnd};

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
/// When the thread cannot be made.
pub fn spawn(post: Post) -> std::io::Result<JoinHandle<()>> {
    let worker = post.link.worker;
    std::thread::Builder::new().name(format!("gk-worker-{worker}")).spawn(move || {
        let Ok(reports) = post.link.reports.try_clone() else { return };
        let ended = catch_unwind(AssertUnwindSafe(|| serve(post)));
        let cause = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "panic".to_owned(),
        };
        reports.send(Report::Died { worker, cause });
    })
}

/// Runs the shard until it has drained.
fn serve(post: Post) -> std::io::Result<()> {
    if let Some(core) = post.core {
        // A core that went away since start is no reason not to serve.
        core_affinity::set_for_current(core);
    }
    let (driver, runtime) = build(post.driver, post.may_descend)?;
    // However this worker ends, operations of its connections may still be in the kernel's hands: the runtime
    // is leaked, never dropped under them. Where it ends well, the process ends next.
    let mut runtime = ManuallyDrop::new(runtime);
    let worker = post.link.worker;
    let reports = post.link.reports.try_clone()?;
    let upward = reports.try_clone()?;
    let drained = runtime.block_on(async move {
        let shard = Shard::new(worker, post.shared, upward);
        shard.reports.send(Report::Ready { worker, driver: driver.name() });
        let sweeping = shard.clone();
        runtime::spawn(shard.deadlines.clone().sweep(move || sweeping.sweep()));
        let cut = orders::obey(&shard, post.link).await?;
        std::io::Result::Ok(Report::Drained { worker, cut, summary: shard.meter.summary() })
    })?;
    reports.send(drained);
    Ok(())
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
