//! A tunnel: opaque bytes both ways after a valid `101`.
//!
//! Each direction ends on its own (half-close passes through); the tunnel is over when both have, when
//! either side breaks, or when nothing moves for `limits::TUNNEL_IDLE_MS`. Out of scope: frames.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::buffer::{Class, Lease};
use super::downstream::Downstream;
use super::io::{Connection, Received};
use super::shard::Shard;
use crate::end::End;
use crate::limits::TUNNEL_IDLE_MS;

/// Relays until the tunnel is over. `early` came from the upstream together with its `101`.
pub async fn run(shard: &Shard, down: &mut Downstream, up: &mut Connection, early: Option<Lease>) -> Option<End> {
    let Downstream { source, tx: down_tx, writing, .. } = down;
    let Connection { rx: up_rx, tx: up_tx } = up;
    let sending = shard.deadlines.register();
    let moved_ms = Cell::new(shard.clock.now_ms());
    let is_idle = || shard.clock.now_ms() - moved_ms.get() >= TUNNEL_IDLE_MS;
    let upward = async {
        loop {
            source.reading.arm(TUNNEL_IDLE_MS);
            match source.next_in_time(Class::Small).await {
                Some(Received::Data(lease)) => {
                    moved_ms.set(shard.clock.now_ms());
                    up_tx.send(lease, &sending, TUNNEL_IDLE_MS).await.map_err(|_| End::ResponseTruncated)?;
                }
                Some(Received::End) => {
                    up_tx.finish();
                    return Ok(());
                }
                None if !is_idle() => {}
                Some(Received::Broken) | None => return Err(End::ClientLeft),
            }
        }
    };
    let downward = async {
        let mut next = early.map(Received::Data);
        loop {
            let received = match next.take() {
                Some(received) => Some(received),
                None => {
                    writing.arm(TUNNEL_IDLE_MS);
                    writing.bound(pin!(up_rx.receive(Class::Small))).await
                }
            };
            match received {
                Some(Received::Data(lease)) => {
                    moved_ms.set(shard.clock.now_ms());
                    down_tx.send(lease, writing, TUNNEL_IDLE_MS).await.map_err(|_| End::ClientLeft)?;
                }
                Some(Received::End) => {
                    down_tx.finish();
                    return Ok(());
                }
                None if !is_idle() => {}
                Some(Received::Broken) | None => return Err(End::ResponseTruncated),
            }
        }
    };
    both(pin!(upward), pin!(downward), shard).await.err()
}

/// Both to their end, or the first fault of either, or the end of the drain window.
async fn both(
    mut first: Pin<&mut impl Future<Output = Result<(), End>>>,
    mut second: Pin<&mut impl Future<Output = Result<(), End>>>,
    shard: &Shard,
) -> Result<(), End> {
    let (mut first_done, mut second_done) = (false, false);
    poll_fn(|cx| {
        if shard.is_cut() {
            return Poll::Ready(Err(End::Drained));
        }
        if !first_done && let Poll::Ready(ended) = first.as_mut().poll(cx) {
            ended?;
            first_done = true;
        }
        if !second_done && let Poll::Ready(ended) = second.as_mut().poll(cx) {
            ended?;
            second_done = true;
        }
        if first_done && second_done { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}
