//! A client connection's life: one exchange after another, then the close.
//!
//! In scope: the keep-alive loop, metering, lingering. Only here is an exchange counted, so no path can
//! forget. Out of scope: what happens in an exchange.

use std::net::IpAddr;
use std::rc::Rc;

use super::buffer::Class;
use super::downstream::Downstream;
use super::exchange;
use super::io::{Connection, Received};
use super::shard::Shard;
use crate::end::End;
use crate::limits::{LINGER_BYTES_MAX, LINGER_MS};

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It may serve another request.
    Keep,
    /// It is closed.
    Close,
    /// It becomes a tunnel.
    Tunnel,
    /// It is closed once the client has had time to read the answer to a request it is still sending.
    Linger,
}

/// An exchange that took place.
pub struct Done {
    /// How it ended.
    pub outcome: Result<(), End>,
    /// What becomes of the connection.
    pub after: After,
}

/// Serves a client connection to its end.
pub async fn run(shard: Rc<Shard>, connection: Connection, peer: IpAddr) {
    let mut down = Downstream::new(connection, peer, &shard.deadlines);
    let mut first = true;
    let mut after = After::Close;
    while let Some(done) = exchange::run(&shard, &mut down, first).await {
        shard.meter.exchange(done.outcome);
        first = false;
        after = done.after;
        if after != After::Keep {
            break;
        }
    }
    match after {
        After::Tunnel => return down.become_tunnel(&shard),
        After::Linger => linger(&mut down).await,
        After::Keep | After::Close => {}
    }
    down.tx.sever();
}

/// Reads and forgets for a while, because closing over unread bytes would reset the connection and take
/// the answer with it.
async fn linger(down: &mut Downstream) {
    down.tx.finish();
    down.source.reading.arm(LINGER_MS);
    let mut drained = 0;
    while drained < LINGER_BYTES_MAX {
        match down.source.next_in_time(Class::Large).await {
            Some(Received::Data(lease)) => drained += lease.bytes().len(),
            _ => break,
        }
    }
}
