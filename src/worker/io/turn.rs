//! Taking turns: no connection keeps a core to itself.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use crate::limits::{OPERATIONS_PER_TURN, TURN_PAUSE_MS};
use crate::worker::runtime;

/// A core is shared. On a ring every operation returns to the runtime; under epoll one whose socket is
/// ready completes at once, and a fast peer could keep a core, its timers included, for itself.
#[derive(Debug, Default)]
pub struct Turn {
    unwaited: u32,
}

impl Turn {
    /// Runs the operation, after a pause where too many before it completed at once.
    pub async fn take<T>(&mut self, mut operation: Pin<&mut impl Future<Output = T>>) -> T {
        if self.unwaited >= OPERATIONS_PER_TURN {
            self.unwaited = 0;
            // Rare, so its room is not kept in every connection. Waking oneself instead would starve the timers.
            Box::pin(runtime::sleep(Duration::from_millis(TURN_PAUSE_MS))).await;
        }
        let mut waited = false;
        let done = poll_fn(|cx| {
            let polled = operation.as_mut().poll(cx);
            waited |= polled.is_pending();
            polled
        })
        .await;
        self.unwaited = if waited { 0 } else { self.unwaited + 1 };
        done
    }
}
