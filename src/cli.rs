//! The command line: what may be said to the program, and the two commands that only answer.
//!
//! In scope: arguments, and `check` and `explain` as text and exit code. Out of scope: running the
//! gateway (`run`).

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::check;
use crate::config::explain::{self, Question};
use crate::config::said::Said;
use crate::limits::WORKERS_MAX;

const EXAMPLES: &str = "\
Examples:
  gatekeeper conf/module.toml
  gatekeeper --cores 4 conf/module.toml
  gatekeeper check conf/module.toml
  gatekeeper explain conf/module.toml GET http://127.0.0.1:8700/demo/hello --from 10.0.0.7

base.toml, app.toml and GateKeeper's other files are read from the folder of the module file.
conf/reference.toml lists every key. SIGHUP or GET /reload loads the files again.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  gatekeeper explain conf/module.toml GET /demo/hello
  gatekeeper explain conf/module.toml POST 'http://shop.example/demo/orders?app_id=shop&sign=S' --from 10.0.0.7
  gatekeeper explain conf/module.toml GET /demo --from 10.0.0.1 --header 'X-Forwarded-For: 203.0.113.9'";

/// An API gateway: one pinned thread per core, GateKeeper's configuration.
#[derive(Debug, Parser)]
#[command(
    name = "gatekeeper",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Args, Debug)]
struct RunArgs {
    /// The module file, such as conf/module.toml
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Workers, each pinned to a core [default: the cores this process may use]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=WORKERS_MAX as u64))]
    cores: Option<usize>,
    /// How workers talk to the kernel
    #[arg(long, value_enum, default_value_t = Driver::Auto)]
    driver: Driver,
}

/// How workers talk to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// The first of the following that works here
    Auto,
    /// io_uring, one issuer, work deferred to the worker (Linux 6.1)
    Uring,
    /// io_uring, work done when the worker enters the kernel (Linux 5.19)
    UringCoop,
    /// io_uring without either
    UringPlain,
    /// epoll
    Epoll,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report every fault of the files; exit with 1 where the gateway would not start
    Check {
        /// The module file
        file: PathBuf,
    },
    /// Show what would become of a request: rule, rewritten target, lists, rates, endpoints
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The module file
        file: PathBuf,
        /// Such as GET
        method: String,
        /// http://host/path?query, or only the path
        url: String,
        /// The address the connection comes from [default: one on no list]
        #[arg(long, value_name = "IP")]
        from: Option<IpAddr>,
        /// A header field of the request; may be repeated
        #[arg(long = "header", value_name = "Name: value", value_parser = field)]
        headers: Vec<(String, String)>,
    },
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write Name: value")?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("the name must not be empty or hold blanks".into());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Serve.
    Run(Run),
    /// Say this and end.
    Say(Said),
}

/// How to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The module file.
    pub file: PathBuf,
    /// Workers; `None` is as many as this process may use cores.
    pub cores: Option<usize>,
    /// How workers talk to the kernel.
    pub driver: Driver,
}

impl Cli {
    /// What to do. `check` and `explain` do their work here, which is reading files.
    #[must_use]
    pub fn task(self) -> Task {
        match self.command {
            Some(Command::Check { file }) => Task::Say(check::check(&file)),
            Some(Command::Explain { file, method, url, from, headers }) => {
                Task::Say(explain::explain(&file, &Question { method, url, from, headers }))
            }
            None => Task::Run(Run {
                file: self.run.file.expect("clap demands the file where no command is given"),
                cores: self.run.cores,
                driver: self.run.driver,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["gatekeeper"], words].concat())
    }

    fn run(words: &[&str]) -> Run {
        match parse(words).expect("a command line").task() {
            Task::Run(run) => run,
            Task::Say(said) => panic!("{said:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_alone_is_served_with_every_default() {
        assert_eq!(run(&["m.toml"]), Run { file: "m.toml".into(), cores: None, driver: Driver::Auto });
    }

    #[test]
    fn cores_and_driver_are_taken() {
        let run = run(&["--cores", "48", "--driver", "uring-coop", "m.toml"]);
        assert_eq!((run.cores, run.driver), (Some(48), Driver::UringCoop));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wrong: &[&[&str]] = &[
            &[],
            &["--cores", "0", "m.toml"],
            &["--cores", "1025", "m.toml"],
            &["--driver", "kqueue", "m.toml"],
            &["--cores", "2", "check", "m.toml"],
            &["check"],
            &["m.toml", "n.toml"],
            &["explain", "m.toml", "GET"],
            &["explain", "m.toml", "GET", "/", "--from", "nobody"],
            &["explain", "m.toml", "GET", "/", "--header", "no colon"],
        ];
        for words in wrong {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_exit_code_1() {
        let Task::Say(said) = parse(&["check", "/nowhere/module.toml"]).expect("a command line").task() else {
            panic!("check only answers")
        };
        assert_eq!(said.code, 1);
        assert!(said.err.starts_with("/nowhere/module.toml: error: cannot be read"), "{}", said.err);
    }
}
