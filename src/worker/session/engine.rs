//! Engines: the room that an exchange needs while it runs, and only then.
//!
//! The future of an exchange is some kilobytes, and most connections wait most of the time. So it does not
//! stand in every session: it lives in a box that is taken for one exchange after another, whichever
//! session they belong to. A waiting session is a few hundred bytes, and still nothing is allocated for a
//! request once the core has as many engines as it runs exchanges. In scope: lending them. Out of scope: what
//! an exchange does (`exchange`).

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::downstream::Downstream;
use super::exchange::{self, Request, Served};
use crate::limits::ENGINES_KEPT;
use crate::worker::shard::Shard;

/// The engines of one core that run nothing now.
#[derive(Default)]
pub struct Engines(RefCell<Vec<Engine>>);

struct Engine {
    desk: Rc<Desk>,
    running: Pin<Box<dyn Future<Output = ()>>>,
}

/// Between a session and the engine it has taken.
#[derive(Default)]
struct Desk {
    job: Cell<Option<Job>>,
    done: Cell<Option<(Box<Downstream>, Served)>>,
}

struct Job {
    shard: Rc<Shard>,
    down: Box<Downstream>,
    request: Request,
}

impl Engine {
    fn new() -> Self {
        let desk = Rc::new(Desk::default());
        Self { running: Box::pin(run(desk.clone())), desk }
    }
}

/// Serves one request after another, each for whoever gave it.
async fn run(desk: Rc<Desk>) {
    loop {
        let Job { shard, mut down, request } = poll_fn(|_| desk.job.take().map_or(Poll::Pending, Poll::Ready)).await;
        let served = exchange::run(&shard, &mut down, request).await;
        desk.done.set(Some((down, served)));
    }
}

/// Serves one request on an engine of this core. The client's side goes in and comes back. An engine whose
/// exchange panics goes with its session.
#[must_use]
pub fn serve(shard: &Rc<Shard>, down: Box<Downstream>, request: Request) -> Serving<'_> {
    let kept = shard.engines.0.borrow_mut().pop();
    let engine = kept.unwrap_or_else(Engine::new);
    engine.desk.job.set(Some(Job { shard: shard.clone(), down, request }));
    Serving { shard, engine: Some(engine) }
}

/// A request on an engine. A future written out, because it is polled whenever its exchange is.
pub struct Serving<'s> {
    shard: &'s Rc<Shard>,
    engine: Option<Engine>,
}

impl Future for Serving<'_> {
    type Output = (Box<Downstream>, Served);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(engine) = &mut this.engine else { return Poll::Pending };
        // It never ends; what tells is the desk.
        let _ = engine.running.as_mut().poll(cx);
        let Some(served) = engine.desk.done.take() else { return Poll::Pending };
        let mut kept = this.shard.engines.0.borrow_mut();
        if kept.len() < ENGINES_KEPT {
            kept.extend(this.engine.take());
        }
        Poll::Ready(served)
    }
}
