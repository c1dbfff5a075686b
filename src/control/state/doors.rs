//! Which listeners there are, and which worker serves which of their sockets. Pure: the sockets themselves are held
//! by the loop.
//!
//! A reload keeps every listener whose address stays, opens what is new before anything else happens and closes
//! what is gone. A socket is dealt to a worker once the worker runs an epoch that knows what comes in by it.

use super::Effect;
use super::workers::Workers;
use crate::control::bind::Group;
use crate::ids::{EpochId, ListenerId, WorkerId};
use crate::wall::link::Order;
use crate::wall::listen::Listen;

/// Every listener.
#[derive(Debug, Default)]
pub(super) struct Doors {
    rows: Vec<Row>,
    opened_total: u32,
}

/// One listener.
#[derive(Debug)]
struct Row {
    id: ListenerId,
    listen: Listen,
    /// Only workers on this epoch or a later one know what comes in.
    since: EpochId,
    /// Who serves each socket.
    dealt: Vec<Option<WorkerId>>,
    /// Sockets that their workers have said to accept on.
    confirmed: usize,
}

/// A listener that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Which.
    pub(crate) listen: Listen,
    /// A listener of our own that will be closed may be in the way.
    pub(crate) beside_own: bool,
}

impl Doors {
    /// What has to be opened before these are served.
    pub(super) fn missing(&self, wanted: &[Listen]) -> Vec<Opening> {
        let is_open = |listen: &Listen| self.rows.iter().any(|row| row.listen.same_place(listen));
        let opening = |listen: &Listen| {
            let port = listen.address.port();
            let beside_own = port != 0 && self.rows.iter().any(|row| row.listen.address.port() == port);
            Opening { listen: listen.clone(), beside_own }
        };
        wanted.iter().filter(|listen| !is_open(listen)).map(opening).collect()
    }

    /// From this epoch on these are served, the newly opened among them.
    pub(super) fn replace(
        &mut self,
        wanted: &[Listen],
        opened: Vec<Group>,
        epoch: EpochId,
        workers: &Workers,
        out: &mut Vec<Effect>,
    ) {
        let is_wanted = |row: &Row| wanted.iter().any(|listen| row.listen.same_place(listen));
        for gone in self.rows.extract_if(.., |row| !is_wanted(row)) {
            gone.leave(workers, out);
            out.push(Effect::Close(gone.id));
        }
        for row in &mut self.rows {
            let Some(listen) = wanted.iter().find(|listen| row.listen.same_place(listen)) else { continue };
            if row.listen != *listen {
                // Something else comes in by the same sockets.
                row.leave(workers, out);
                row.listen.clone_from(listen);
                row.since = epoch;
                row.dealt.fill(None);
                row.confirmed = 0;
            }
        }
        for Group { listen, sockets } in opened {
            let id = ListenerId(self.opened_total);
            self.opened_total += 1;
            self.rows.push(Row { id, listen, since: epoch, dealt: vec![None; sockets.len()], confirmed: 0 });
            out.push(Effect::Hold(id, sockets));
        }
    }

    /// Deals every socket that nobody serves to a worker that is ready for it.
    pub(super) fn offer(&mut self, workers: &Workers, out: &mut Vec<Effect>) {
        let running: Vec<WorkerId> = workers.running().collect();
        if running.is_empty() {
            return;
        }
        for row in &mut self.rows {
            for (socket, dealt) in row.dealt.iter_mut().enumerate().filter(|(_, dealt)| dealt.is_none()) {
                let worker = running[socket % running.len()];
                if workers.adopted_by(worker) >= row.since {
                    *dealt = Some(worker);
                    let (listener, entrance) = (row.id, row.listen.entrance.clone());
                    out.push(Effect::Deal { worker, listener, entrance, socket });
                }
            }
        }
    }

    /// A worker accepts on one more socket.
    pub(super) fn confirmed(&mut self, listener: ListenerId) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.id == listener) {
            row.confirmed += 1;
        }
    }

    /// Whether every socket is served.
    pub(super) fn all_open(&self) -> bool {
        self.rows.iter().all(|row| row.confirmed >= row.dealt.len())
    }

    /// The process's own handles are closed; the workers serve on.
    pub(super) fn let_go(&self, out: &mut Vec<Effect>) {
        out.extend(self.rows.iter().map(|row| Effect::Close(row.id)));
    }

    /// What this worker served is nobody's now.
    pub(super) fn orphan(&mut self, worker: WorkerId) {
        for row in &mut self.rows {
            for dealt in row.dealt.iter_mut().filter(|dealt| **dealt == Some(worker)) {
                *dealt = None;
                row.confirmed = row.confirmed.saturating_sub(1);
            }
        }
    }
}

impl Row {
    /// Tells everybody who serves it to stop.
    fn leave(&self, workers: &Workers, out: &mut Vec<Effect>) {
        for worker in workers.running().filter(|worker| self.dealt.contains(&Some(*worker))) {
            out.push(Effect::Send { worker, order: Order::Unlisten { listener: self.id } });
        }
    }
}
