//! A new process in the place of a running one: nothing refused, nothing lost; and a new one that is no good.

mod account;
mod fails;
mod live;
mod manager;
mod nonces;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::support::{Gateway, eventually};

/// A place where the program stands by a name of its own, so that a test can put something else there.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { folder: tempfile::tempdir().expect("a temporary directory") };
        installed.put_the_program();
        installed
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("gatekeeper")
    }

    fn put_the_program(&self) {
        self.put(|path| symlink(env!("CARGO_BIN_EXE_gatekeeper"), path).expect("a writable directory"));
    }

    /// A shell script; `$PROGRAM` in it is the real program.
    fn put_script(&self, text: &str) {
        let text = text.replace("$PROGRAM", env!("CARGO_BIN_EXE_gatekeeper"));
        self.put(|path| {
            std::fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a writable directory");
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("our own file");
        });
    }

    fn put(&self, write: impl Fn(&Path)) {
        let fresh = self.folder.path().join("fresh");
        write(&fresh);
        std::fs::rename(fresh, self.path()).expect("the same directory");
    }
}

/// A process that a gateway has started; dropping it kills the process.
struct Successor(Pid);

impl Successor {
    fn runs(&self) -> bool {
        // One that has ended and is waited for by nobody is still there, as a zombie.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero())).unwrap_or_default();
        test_kill_process(self.0).is_ok() && !state.contains(") Z ")
    }

    fn stop(&self) {
        kill_process(self.0, Signal::TERM).expect("it runs");
        assert!(eventually(|| !self.runs()), "it ends");
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.as_raw_nonzero())
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(self.file("fd")).expect("it runs").count()
    }

    fn status(&self, name: &str) -> String {
        status(&self.file("status"), name)
    }

    fn upgrade(&self, more: &[&str]) -> Result<Successor, String> {
        ask(self.0, more)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// A line of a process's status.
fn status(path: &str, name: &str) -> String {
    line_of(&std::fs::read_to_string(path).expect("it runs"), name)
}

fn line_of(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs `gatekeeper upgrade`; the new process, or what was said instead.
fn ask(pid: Pid, more: &[&str]) -> Result<Successor, String> {
    let pid = pid.as_raw_nonzero().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatekeeper"));
    let output = command.args(["upgrade", "--pid", &pid]).args(more).output().expect("the binary runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        assert_eq!((output.status.code(), &*out), (Some(1), ""), "{err}");
        return Err(err.into_owned());
    }
    let number = out.split_whitespace().nth(2).and_then(|word| word.parse().ok()).and_then(Pid::from_raw);
    Ok(Successor(number.unwrap_or_else(|| panic!("the number of a process in {out:?}"))))
}

fn upgrade(gateway: &Gateway, more: &[&str]) -> Result<Successor, String> {
    ask(gateway.pid(), more)
}
