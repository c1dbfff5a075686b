//! The command line: what may be said to the program, and the commands that only answer.
//!
//! In scope: arguments, and `check`, `explain` and `upgrade` as text and exit code. Out of scope: running the
//! gateway (`run`).

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::check;
use crate::config::explain::{self, Question};
use crate::config::said::Said;
use crate::control::desk;
use crate::filter::Registry;
use crate::limits::WORKERS_MAX;

const EXAMPLES: &str = "\
Examples:
  gatekeeper conf/module.toml
  gatekeeper --cores 4 conf/module.toml
  gatekeeper check conf/module.toml
  gatekeeper explain conf/module.toml GET http://127.0.0.1:8700/demo/hello --from 10.0.0.7
  gatekeeper upgrade

base.toml, app.toml and GateKeeper's other files are read from the folder of the module file.
conf/reference.toml lists every key. SIGHUP or GET /reload loads the files again.";

const UPGRADE_EXAMPLES: &str = "\
Examples:
  gatekeeper upgrade
  gatekeeper upgrade --cores 2
  gatekeeper upgrade --pid-file /run/gatekeeper/pid

The running gateway starts the program anew from where it was started, hands its listening sockets
over, and drains once the new process has served for a while. SIGUSR2 does the same without an answer.";

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
    /// Write the number of the process that serves into this file
    #[arg(long, value_name = "PATH")]
    pid_file: Option<PathBuf>,
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
    /// Put a new process in the place of the running one; exit with 1 where it goes on instead
    #[command(after_help = UPGRADE_EXAMPLES)]
    Upgrade {
        /// The running gateway's process [default: the only one on this machine]
        #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..))]
        pid: Option<u32>,
        /// The file that holds the number of that process
        #[arg(long, value_name = "PATH", conflicts_with = "pid")]
        pid_file: Option<PathBuf>,
        /// Workers from now on [default: as the running gateway was started]
        #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=WORKERS_MAX as u64))]
        cores: Option<usize>,
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
    /// Where to write the number of the process that serves.
    pub pid_file: Option<PathBuf>,
}

impl Run {
    /// The command line that asks for the same, with another number of workers where one is given.
    #[must_use]
    pub fn arguments(&self, cores: Option<usize>) -> Vec<OsString> {
        let mut all: Vec<OsString> = Vec::new();
        if let Some(cores) = cores.or(self.cores) {
            all.extend(["--cores".into(), cores.to_string().into()]);
        }
        if let Some(driver) = self.driver.to_possible_value().filter(|_| self.driver != Driver::Auto) {
            all.extend(["--driver".into(), driver.get_name().into()]);
        }
        if let Some(path) = &self.pid_file {
            all.extend(["--pid-file".into(), path.into()]);
        }
        all.extend(["--".into(), OsString::from(&self.file)]);
        all
    }
}

fn upgrade(pid: Option<u32>, pid_file: Option<&Path>, cores: Option<usize>) -> Said {
    let from_file = pid_file.map(|path| {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.trim().parse::<u32>().map_err(|_| format!("{} holds no number of a process", path.display()))
    });
    let outcome = from_file.transpose().and_then(|named| desk::ask(pid.or(named), cores));
    match outcome {
        Ok(text) => Said { code: 0, out: text + "\n", err: String::new() },
        Err(text) => Said { code: 1, out: String::new(), err: format!("gatekeeper: {text}\n") },
    }
}

impl Cli {
    /// What to do. `check`, `explain` and `upgrade` do their work here: reading files, asking a running gateway.
    #[must_use]
    pub fn task(self, filters: &Registry) -> Task {
        match self.command {
            Some(Command::Check { file }) => Task::Say(check::check(&file, filters)),
            Some(Command::Explain { file, method, url, from, headers }) => {
                Task::Say(explain::explain_with(&file, filters, &Question { method, url, from, headers }))
            }
            Some(Command::Upgrade { pid, pid_file, cores }) => Task::Say(upgrade(pid, pid_file.as_deref(), cores)),
            None => Task::Run(Run {
                file: self.run.file.expect("clap demands the file where no command is given"),
                cores: self.run.cores,
                driver: self.run.driver,
                pid_file: self.run.pid_file,
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
        match parse(words).expect("a command line").task(&Registry::default()) {
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
        let bare = Run { file: "m.toml".into(), cores: None, driver: Driver::Auto, pid_file: None };
        assert_eq!(run(&["m.toml"]), bare);
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
            &["upgrade", "--pid", "0"],
            &["upgrade", "--pid", "1", "--pid-file", "p"],
            &["upgrade", "--cores", "0"],
            &["upgrade", "m.toml"],
        ];
        for words in wrong {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_successor_is_asked_for_the_same() {
        for words in [
            &["m.toml"][..],
            &["--cores", "4", "--driver", "uring-plain", "--pid-file", "/run/a b", "m.toml"],
            &["--driver", "epoll", "--", "-m.toml"],
        ] {
            let asked = run(words);
            let again = asked.arguments(None);
            let again: Vec<&str> = again.iter().map(|word| word.to_str().expect("text")).collect();
            assert_eq!(run(&again), asked);
            let fewer = asked.arguments(Some(2));
            let fewer: Vec<&str> = fewer.iter().map(|word| word.to_str().expect("text")).collect();
            assert_eq!(run(&fewer), Run { cores: Some(2), ..asked });
        }
    }

    #[test]
    fn an_upgrade_of_nobody_is_told_with_exit_code_1() {
        let Task::Say(said) = parse(&["upgrade", "--pid", "1"]).expect("a command line").task(&Registry::default())
        else {
            panic!("upgrade only answers")
        };
        assert_eq!((said.code, said.err.contains("process 1 is not a gateway")), (1, true), "{}", said.err);
        let Task::Say(said) =
            parse(&["upgrade", "--pid-file", "/nowhere"]).expect("a command line").task(&Registry::default())
        else {
            panic!("upgrade only answers")
        };
        assert_eq!((said.code, said.err.contains("/nowhere")), (1, true), "{}", said.err);
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_exit_code_1() {
        let Task::Say(said) =
            parse(&["check", "/nowhere/module.toml"]).expect("a command line").task(&Registry::default())
        else {
            panic!("check only answers")
        };
        assert_eq!(said.code, 1);
        assert!(said.err.starts_with("/nowhere/module.toml: error: cannot be read"), "{}", said.err);
    }
}
