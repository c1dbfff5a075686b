//! Another user after binding: every thread of it, also after an upgrade. These tests need root and tell so.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Installed, line_of, upgrade};
use crate::support::{Conf, Gateway, Origin, lacks};

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        lacks("root, who has something to give up");
    }
    root
}

fn permit(folder: &Path, mode: u32) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)).expect("our own folder");
}

/// What every thread of a process may do, once for all where it is the same.
fn powers(task: &Path) -> Vec<String> {
    let of = |task: std::fs::DirEntry| {
        // A helper thread may end while the list is read.
        let text = std::fs::read_to_string(task.path().join("status")).ok()?;
        let powers = ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "NoNewPrivs"].map(|name| line_of(&text, name));
        Some(powers.join(" / "))
    };
    let mut all: Vec<_> = std::fs::read_dir(task).expect("it runs").flatten().filter_map(of).collect();
    assert!(all.len() > 2, "control and workers");
    all.sort();
    all.dedup();
    all
}

const NOBODY: &str = "65534 65534 65534 65534 / 1234 1234 1234 1234 / 1234 / 0000000000000000 / 0000000000000000 / 1";

#[test]
fn no_thread_keeps_a_privilege_and_an_upgrade_needs_none() {
    if !is_root() {
        return;
    }
    let origin = Origin::ok();
    let conf = Conf::of(&origin).base("user", "65534").base("group", "1234").cores(2);
    // Where another user may read it.
    let installed = Installed::new();
    installed.put(|path| {
        std::fs::copy(env!("CARGO_BIN_EXE_gatekeeper"), path).expect("room for a copy");
    });
    let conf = conf.program(&installed.path());
    let gateway = Gateway::start_with(&conf, |command| {
        let file = command.get_args().last().map(Path::new).expect("the module file");
        permit(file.parent().expect("its folder"), 0o700);
    });
    let tasks = |pid: rustix::process::Pid| format!("/proc/{}/task", pid.as_raw_nonzero());
    assert_eq!(powers(Path::new(&tasks(gateway.pid()))), [NOBODY]);
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    assert!(gateway.stderr().contains("a reload will not be able to read it"), "{}", gateway.stderr());
    for path in [gateway.directory(), installed.folder.path()] {
        permit(path, 0o755);
    }
    // More workers than sockets: another user could not add any to the group.
    let successor = upgrade(&gateway, &["--cores", "4"]).expect("an upgrade");
    assert_eq!(powers(Path::new(&tasks(successor.0))), [NOBODY]);
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let said = gateway.stderr();
    assert!(!said.contains("share"), "the sockets belong to the new user: {said}");
    successor.stop();
}

#[test]
fn an_account_that_cannot_be_had_is_a_reason_not_to_start() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).base("user", "no-such-user");
    let ended = Gateway::try_start(&conf, crate::support::gateway::free_port(), |_| ()).err().expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.printed.contains("there is no user `no-such-user`"), "{}", ended.printed);
    if !is_root() {
        return;
    }
    let installed = Installed::new();
    installed.put_script("exec setpriv --bounding-set -setuid,-setgid,-chown -- $PROGRAM \"$@\"");
    let conf = Conf::of(&origin).base("user", "1").program(&installed.path());
    let ended = Gateway::try_start(&conf, crate::support::gateway::free_port(), |_| ());
    let printed = ended.err().expect("it ends").printed;
    assert!(printed.contains("cannot become user 1, group 1: Operation not permitted"), "{printed}");
}
