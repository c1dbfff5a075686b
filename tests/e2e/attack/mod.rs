//! Attacks by thousands of connections: what they cost in memory, and what is left of them.

mod many;
mod slowhttptest;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One attack at a time: they would measure each other, and share this process's descriptors, all of which it gets.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
