//! Names: kept resolved, one task each, looked up again when their TTL ends.
//!
//! In scope: which names are followed and what they resolve to now. Out of scope: what a change means
//! (`state` publishes it), the order of dialling (`worker`).

mod hosts;
mod lookup;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use super::state::Event;
use crate::limits;
use lookup::{Follower, Servers};

/// Addresses of a name; `None` until the first lookup has ended.
type Answer = Option<Arc<[IpAddr]>>;

/// Every name that is followed.
pub(super) struct Names {
    followed: HashMap<Box<str>, Followed>,
    servers: Arc<Servers>,
    permits: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
}

/// A followed name; its task ends when this is dropped.
struct Followed {
    answer: watch::Sender<Answer>,
    task: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    /// None yet, to be resolved through the system's servers.
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        let permits = Arc::new(Semaphore::new(limits::LOOKUPS_AT_ONCE_MAX));
        Self { followed: HashMap::new(), servers: Arc::new(Servers::new(Vec::new())), permits, events }
    }

    /// Resolves through these servers from now on, and every followed name again; what is known stays
    /// until there is an answer.
    pub(super) fn use_servers(&mut self, servers: Vec<SocketAddr>) {
        self.servers = Arc::new(Servers::new(servers));
        let names: Vec<Box<str>> = self.followed.keys().cloned().collect();
        for name in names {
            self.follow(name);
        }
    }

    /// Keeps a name resolved.
    pub(super) fn follow(&mut self, name: Box<str>) {
        let answer = self.followed.get(&name).map_or_else(|| watch::Sender::new(None), |known| known.answer.clone());
        let follower = Follower {
            name: name.clone(),
            servers: Arc::clone(&self.servers),
            permits: Arc::clone(&self.permits),
            answer: answer.clone(),
            events: self.events.clone(),
        };
        let task = tokio::spawn(follower.run()).abort_handle();
        self.followed.insert(name, Followed { answer, task });
    }

    /// Lets go of a name.
    pub(super) fn forget(&mut self, name: &str) {
        self.followed.remove(name);
    }

    /// What a followed name resolves to, now and later.
    pub(super) fn answers(&self, name: &str) -> Answers {
        let answer = self.followed.get(name).map(|followed| followed.answer.subscribe());
        Answers(answer.unwrap_or_else(|| watch::Sender::new(None).subscribe()))
    }
}

/// A view of one name's addresses.
pub(super) struct Answers(watch::Receiver<Answer>);

impl Answers {
    /// The addresses known, after the first lookup has ended; empty when it found none.
    pub(super) async fn known(&mut self) -> Arc<[IpAddr]> {
        let _ = self.0.wait_for(Option::is_some).await;
        self.0.borrow_and_update().clone().unwrap_or_default()
    }

    /// Until they are others than those last seen; for ever when nobody follows the name any more.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
