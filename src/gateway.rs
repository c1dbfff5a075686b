//! `Gateway`: the program as a library. The filters it has are said here; all else is the command line's.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use serde::de::DeserializeOwned;

use crate::cli::{Cli, Task};
use crate::filter::{HttpFilter, Registry, TcpFilter};
use crate::{inherited, run};

/// The gateway as a program, with filters of its own.
///
/// ```no_run
#[doc = include_str!("../examples/first_filter.rs")]
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Gateway {
    filters: Registry,
}

impl Gateway {
    /// Without filters: what the program `gatekeeper` is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a filter of http services, which `[[module.filter]]` enables by this name. It is made for each place that
    /// enables it, whenever the files are loaded, of the table `options` there; an error becomes a fault of the file.
    ///
    /// # Panics
    /// Where the name is empty, has blanks around it, or is taken by another filter of http services.
    pub fn http_filter<O, F>(
        mut self,
        name: &str,
        make: impl Fn(O) -> Result<F, String> + Send + Sync + 'static,
    ) -> Self
    where
        O: DeserializeOwned,
        F: HttpFilter,
    {
        self.filters.add_http(name, make);
        self
    }

    /// The same for tcp services, whose filters have names of their own.
    ///
    /// # Panics
    /// As `http_filter`.
    pub fn tcp_filter<O, F>(mut self, name: &str, make: impl Fn(O) -> Result<F, String> + Send + Sync + 'static) -> Self
    where
        O: DeserializeOwned,
        F: TcpFilter,
    {
        self.filters.add_tcp(name, make);
        self
    }

    /// The filters, for who loads files without serving: `config::load_with`.
    #[doc(hidden)]
    #[must_use]
    pub fn into_filters(self) -> Registry {
        self.filters
    }

    /// Does what the command line says, as the program `gatekeeper` does. To be called first of all in `main`, and once:
    /// the process may have been started with sockets, which are taken here.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let inherited = inherited::take();
        match Cli::parse().task(&self.filters) {
            Task::Say(said) => said.print(),
            Task::Run(options) => run::run(&options, inherited, self.filters).unwrap_or_else(|message| {
                // Standard error may be closed; the exit code says the same.
                let _ = writeln!(std::io::stderr(), "gatekeeper: {message}");
                ExitCode::FAILURE
            }),
        }
    }
}
