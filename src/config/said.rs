//! What a command that only answers says: text for either stream, and an exit code.
//!
//! In scope: the answer and its printing. Out of scope: who asks (`cli`), what is asked (`check`, `explain`).

use std::io::Write;
use std::process::ExitCode;

/// An answer: what to print where, and the exit code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// Exit code.
    pub code: u8,
}

impl Said {
    /// Prints it. A reader that has gone, such as `head`, is no fault.
    #[must_use]
    pub fn print(&self) -> ExitCode {
        let _ = std::io::stderr().write_all(self.err.as_bytes());
        let _ = std::io::stdout().write_all(self.out.as_bytes());
        ExitCode::from(self.code)
    }
}
