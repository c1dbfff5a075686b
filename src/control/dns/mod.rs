//! Names: kept resolved, one task each, looked up again when their TTL ends.
//!
//! In scope: which names are followed, and through which servers. Out of scope: what an answer changes
//! (`state`), the order of dialling (`worker`).

mod hosts;
mod lookup;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::state::Event;
use crate::limits;
use lookup::{Follower, Servers};

/// Every name that is followed.
pub(super) struct Names {
    followed: HashMap<Box<str>, Followed>,
    servers: Arc<Servers>,
    permits: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
}

/// A followed name; its task ends when this is dropped.
struct Followed(AbortHandle);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Names {
    /// None yet, to be resolved through the system's servers.
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        let permits = Arc::new(Semaphore::new(limits::LOOKUPS_AT_ONCE_MAX));
        Self { followed: HashMap::new(), servers: Arc::new(Servers::new(Vec::new())), permits, events }
    }

    /// Resolves through these servers from now on, and every followed name again.
    pub(super) fn use_servers(&mut self, servers: Vec<SocketAddr>) {
        self.servers = Arc::new(Servers::new(servers));
        let names: Vec<Box<str>> = self.followed.keys().cloned().collect();
        for name in names {
            self.follow(name);
        }
    }

    /// Keeps a name resolved.
    pub(super) fn follow(&mut self, name: Box<str>) {
        let follower = Follower {
            name: name.clone(),
            servers: Arc::clone(&self.servers),
            permits: Arc::clone(&self.permits),
            events: self.events.clone(),
        };
        let task = tokio::spawn(follower.run()).abort_handle();
        self.followed.insert(name, Followed(task));
    }

    /// Lets go of a name.
    pub(super) fn forget(&mut self, name: &str) {
        self.followed.remove(name);
    }
}
