//! A client connection's life: one exchange after another, then the close.
//!
//! In scope: the keep-alive loop, lingering, and that every exchange is settled (`account`): here alone, so no path
//! can forget. Out of scope: what happens in an exchange.

pub mod arrival;
pub mod downstream;
pub mod engine;
pub mod exchange;
pub mod local;

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use self::arrival::Partial;
use self::downstream::{Caller, Downstream, Peer};
use self::exchange::{Request, Served};
use super::io::Received;
use super::shard::Shard;
use crate::end::End;
use crate::limits::{LINGER_BYTES_MAX, LINGER_LONG_MS, LINGER_MS, UNREAD_BYTES_MAX};
use crate::worker::accept::proxied;
use crate::worker::shard::account::{Kind, begin, settle, settle_refused};
use crate::worker::shard::buffer::Class;

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It may serve another request.
    Keep,
    /// It is closed.
    Close,
    /// It becomes a tunnel.
    Tunnel,
    /// It is closed once the client has had time to read the answer: it is still sending a request, or may be.
    Linger,
    /// The same where much of the answer may be on its way yet.
    LingerLong,
}

/// An exchange that took place.
pub struct Done {
    /// How it ended.
    pub outcome: Result<(), End>,
    /// What becomes of the connection.
    pub after: After,
}

/// Serves a client connection to its end. Not a future of its own, which would keep room for what it is given.
pub fn run(shard: Rc<Shard>, caller: Caller) -> impl Future<Output = ()> {
    let down = Box::new(Downstream::new(caller, &shard.deadlines));
    serve(shard, down)
}

async fn serve(shard: Rc<Shard>, mut down: Box<Downstream>) {
    if let Err(end) = name_client(&shard, &mut down).await {
        settle_refused(&shard, down.peer.address, end, 0);
        return down.tx.sever();
    }
    down.source.may_stream();
    let mut first = true;
    let mut after = After::Close;
    while let Some(head) = arrival::first_bytes(&shard, &mut down, first).await {
        begin(&shard, &mut down.tab, down.peer.address);
        // An engine is held only while a request is on its way to a service and back.
        let (back, served) = engine::serve(&shard, down, Request::Fresh(head)).await;
        down = back;
        let done = match served {
            Served::Done(done) => done,
            // In a box, because a waiting session would carry room for it.
            served => {
                let (back, done) = Box::pin(serve_further(&shard, down, served)).await;
                down = back;
                done
            }
        };
        (down.whole, down.attempt, down.turn) = (None, None, None);
        down.dressing.clear();
        let bytes_out = over(&shard, &mut down, &done);
        first = false;
        after = done.after;
        let may_be_unread = bytes_out > UNREAD_BYTES_MAX || down.source.carried.is_some();
        if matches!(after, After::Close | After::Linger) && done.outcome.is_ok() && may_be_unread {
            after = After::LingerLong;
        }
        if after != After::Keep {
            break;
        }
    }
    match after {
        After::Tunnel => {
            Box::pin(down.settle()).await;
            return down.become_tunnel(&shard);
        }
        After::Linger => linger(&shard, &mut down, LINGER_MS).await,
        After::LingerLong => linger(&shard, &mut down, LINGER_LONG_MS).await,
        After::Keep | After::Close => {}
    }
    down.tx.sever();
}

/// An exchange is over. How many bytes the client was sent.
fn over(shard: &Shard, down: &mut Downstream, done: &Done) -> u64 {
    down.account_bytes();
    let bytes_out = down.tab.get().bytes_out;
    down.tab.get().end = done.outcome.err();
    settle(shard, &mut down.tab, if done.after == After::Tunnel { Kind::Switch } else { Kind::Exchange });
    bytes_out
}

/// Serves a request that was not served at once.
async fn serve_further(shard: &Rc<Shard>, mut down: Box<Downstream>, mut served: Served) -> (Box<Downstream>, Done) {
    let mut partial = Partial::default();
    let done = loop {
        let request = match served {
            Served::Done(done) => break done,
            Served::Incomplete(mut head) => match partial.receive(shard, &mut down, &mut head).await {
                Ok(()) => Request::Fresh(head),
                Err(end) => break Box::pin(exchange::refuse_broken(shard, &mut down, head, end)).await,
            },
            Served::Rare(rare) => match Box::pin(exchange::serve_rare(shard, &mut down, *rare)).await {
                Ok(dispatch) => Request::Ready(Box::new(dispatch)),
                Err(done) => break done,
            },
            Served::Queued(mut dispatch) => {
                if let Some(end) = dispatch.wait(shard, &mut down).await {
                    break Box::pin(dispatch.refuse(shard, &mut down, end)).await;
                }
                Request::Ready(dispatch)
            }
        };
        (down, served) = engine::serve(shard, down, request).await;
    };
    (down, done)
}

/// The client is whom a trusted proxy says it is, where its connections begin with saying so.
async fn name_client(shard: &Shard, down: &mut Downstream) -> Result<(), End> {
    let Some(epoch) = shard.epoch() else { return Ok(()) };
    let rules = &epoch.snapshot().http;
    if rules.proxy_from.contains(down.peer.address) {
        let timeout_ms = u64::from(rules.head_timeout_ms);
        drop(epoch);
        let peer = SocketAddr::new(down.peer.address, 0);
        let client = Box::pin(proxied::client(&mut down.source, peer, timeout_ms)).await?;
        // The header is no part of the first request.
        down.source.take_consumed();
        down.peer = Peer::new(client.ip().to_canonical());
    }
    Ok(())
}

/// Reads and forgets for a while, because closing over bytes that were not read, or come after the close, would reset the
/// connection and take with it what the client has not read yet of the answer (RFC 9112 section 9.6).
async fn linger(shard: &Shard, down: &mut Downstream, patience_ms: u64) {
    let _idle = shard.rest();
    down.tx.finish();
    down.source.reading.arm_idle(patience_ms);
    let mut drained = 0;
    while drained < LINGER_BYTES_MAX {
        // Thousands may be refused at once, and wait here.
        down.source.expect_little();
        match down.source.next_in_time(Class::Small).await {
            Some(Received::Data(lease)) => drained += lease.bytes().len(),
            _ => break,
        }
    }
}
