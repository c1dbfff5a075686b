//! A connection to an endpoint: kept, or dialled within its deadline.
//!
//! In scope: getting one and saying why not. Out of scope: trying another endpoint (`exchange`).

use std::io;
use std::rc::Rc;

use super::pool::{Grant, Kept, Seat};
use super::replica::{Replica, Target};
use crate::end::End;
use crate::wall::timing::Timing;
use crate::worker::io::Connection;
use crate::worker::shard::buffer::Buffers;
use crate::worker::shard::deadline::Deadline;

/// An upstream connection in use.
pub struct Leased {
    /// The connection.
    pub connection: Connection,
    /// Its place in the pool.
    pub seat: Seat,
    /// It has served an exchange before, so it may be stale.
    pub reused: bool,
}

/// A connection to the endpoint, kept or new. Says when it begins to dial.
///
/// # Errors
/// `QueueFull`, `QueueTimeout`, `ConnectRefused`, `ConnectTimeout`, `Exhausted`.
pub async fn acquire(
    replica: &Rc<Replica>,
    endpoint: usize,
    fresh: bool,
    deadline: &Deadline,
    buffers: &Buffers,
    timing: &mut Timing,
) -> Result<Leased, End> {
    let pool = replica.pool(endpoint);
    loop {
        match pool.acquire(deadline).await? {
            Grant::Kept(Kept { connection, seat }) if fresh => {
                // A replay after a stale connection wants a new one; this one would be as old.
                connection.tx.sever();
                drop(seat);
            }
            Grant::Kept(Kept { connection, seat }) => return Ok(Leased { connection, seat, reused: true }),
            Grant::Dial(seat) => {
                timing.dialled_us = deadline.now_us();
                let mut connection = dial(replica, endpoint, deadline, buffers).await?;
                connection.rx.may_stream();
                connection.rx.expect_answers();
                return Ok(Leased { connection, seat, reused: false });
            }
        }
    }
}

async fn dial(replica: &Replica, endpoint: usize, deadline: &Deadline, buffers: &Buffers) -> Result<Connection, End> {
    deadline.arm(u64::from(replica.upstream.connect_timeout_ms));
    let dialling = async {
        match replica.target(endpoint) {
            Target::Socket(address) => Connection::dial(address, buffers).await,
            Target::Unix(path) => Connection::dial_unix(&path, buffers).await,
            Target::Unresolved => Err(io::ErrorKind::HostUnreachable.into()),
        }
    };
    // Dialling is rare and its future large: a session does not carry room for it.
    let dialled = deadline.bound(Box::pin(dialling).as_mut()).await;
    deadline.disarm();
    dialled.ok_or(End::ConnectTimeout)?.map_err(|error| end_of(&error))
}

/// Whose fault a failed dial is: out of descriptors or ports is ours.
fn end_of(error: &io::Error) -> End {
    use rustix::io::Errno;
    let Some(code) = error.raw_os_error() else { return End::ConnectRefused };
    match Errno::from_raw_os_error(code) {
        Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM => End::Exhausted,
        _ => End::ConnectRefused,
    }
}
