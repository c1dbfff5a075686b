//! Long work of control's, on a thread of its own that gives way to workers.
//!
//! A worker is pinned to every core, so whatever control computes for long it takes from one of them. In scope: loads, and
//! drops of what thousands of services were. Out of scope: what waits instead of computing (tokio's own threads do that).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::oneshot;

use crate::wall::link::panic_text;

/// How much nicer it is than workers: whoever shares a processor with one then gets a tenth of what it could use
/// (sched(7)), so that where every core is busy a load of thousands of services takes longer instead of delaying requests.
const NICENESS: i32 = 10;

/// Does the work there. It begins when this is first waited for.
///
/// # Errors
/// How the work broke down, or why no thread was to be had.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, result) = oneshot::channel();
    let begun = thread::Builder::new().name("gk-aside".to_owned()).spawn(move || {
        // On Linux niceness is a thread's own. Without it the work is done all the same.
        let _ = rustix::process::nice(NICENESS);
        let _ = done.send(catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_text(&*panic)));
    });
    begun.map_err(|error| error.to_string())?;
    result.await.unwrap_or_else(|_| Err("its thread is gone".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(aside(work))
    }

    #[test]
    fn it_is_nicer_than_whoever_asked() {
        let own = || rustix::process::nice(0).unwrap();
        let (before, there) = (own(), result(own).unwrap());
        assert_eq!(there, (before + NICENESS).min(19));
        assert_eq!(own(), before, "niceness is a thread's own");
    }

    #[test]
    fn what_breaks_down_says_why() {
        assert_eq!(result(|| panic!("on purpose")), Err::<(), _>("panic: on purpose".to_owned()));
        let number = 7;
        assert_eq!(result(move || panic!("for {number}")), Err::<(), _>("panic: for 7".to_owned()));
    }
}
