//! Becoming another user once everything is bound that only root may bind.
//!
//! The kernel keeps users, groups and capabilities for each thread, and a thread inherits its maker's; so this is
//! done while there is one thread. In scope: taking an account on for good. Out of scope: which (`config`).

use std::fmt::Write as _;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::fchown;
use rustix::process::{getegid, geteuid, getgroups};
use rustix::thread::{Gid, Uid, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::config::Account;

/// Takes the account on, for this thread and all it will make, without a way back. What is that account already is
/// left as it is, so a process that was upgraded needs no privilege. The listening sockets become the account's too:
/// the kernel lets only their owner add sockets to their group later.
///
/// # Errors
/// What could not be done, in words for the user.
pub fn take_on(account: &Account, listeners: &[BorrowedFd<'_>]) -> Result<(), String> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(format!("cannot change the user of {threads} threads at once"));
    }
    if !already(account) {
        become_it(account, listeners).map_err(|error| {
            let mut said = String::from("cannot become ");
            if let Some(uid) = account.uid {
                let _ = write!(said, "user {uid}, ");
            }
            let _ = write!(said, "group {}: {error}; ", account.gid);
            said + "start as root, or as that account, or leave base.user and base.group out"
        })?;
    }
    set_no_new_privs(true).map_err(|error| format!("cannot give up gaining privileges: {error}"))
}

fn already(account: &Account) -> bool {
    account.uid.is_none_or(|uid| uid == geteuid().as_raw()) && account.gid == getegid().as_raw()
}

fn become_it(account: &Account, listeners: &[BorrowedFd<'_>]) -> io::Result<()> {
    let (uid, gid) = (account.uid.map(Uid::from_raw), Gid::from_raw(account.gid));
    for listener in listeners {
        fchown(listener, uid, Some(gid))?;
    }
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    if getgroups()? != groups {
        set_thread_groups(&groups)?;
    }
    set_thread_res_gid(gid, gid, gid)?;
    if let Some(uid) = uid {
        set_thread_res_uid(uid, uid, uid)?;
    }
    Ok(())
}
