//! Putting a new process in the place of a running one without closing a listening socket.
//!
//! In scope: what both processes do and say. Out of scope: the decisions (`state::upgrade`), and what an operator
//! asks (`desk`).

mod line;
pub(super) mod predecessor;
pub(super) mod successor;

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use line::{Heard, Line, Said, VARIABLE};

/// Descriptors that a process was started with, each with its one owner.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The line to the old process, at an upgrade.
    pub line: Option<Line>,
    /// Sockets that a service manager passes.
    pub passed: Vec<OwnedFd>,
}

/// How this process's successor is started; `None` for a process that cannot have one.
pub struct Succession {
    /// The program, as this process was started.
    pub program: PathBuf,
    /// Its arguments, with another number of workers where one is given.
    pub arguments: Box<dyn Fn(Option<usize>) -> Vec<OsString> + Send + Sync>,
}

impl fmt::Debug for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Succession").field("program", &self.program).finish_non_exhaustive()
    }
}
