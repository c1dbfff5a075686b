//! The idle connections to one address on one core, last in first out, whichever services' pools they count under.
//!
//! Services often share an address, and what is idle for one of them serves another as well: the hottest is taken, so
//! thousands of services keep no thousands of connections open to one host. Each connection counts under the bounds of
//! the pool that used it last; one that goes to another pool goes with its place. Only what HTTP services use is here:
//! tcp services keep nothing. Each has one receive pending, which sees a close. Out of scope: bounds and queues (`pool`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::pool::Pool;
use crate::wall::snapshot::Address;
use crate::worker::io::Connection;

/// The shelves of one core.
#[derive(Default)]
pub struct Shelves(RefCell<HashMap<Address, Rc<Shelf>>>);

/// The idle connections to one address.
#[derive(Default)]
pub struct Shelf(RefCell<Vec<Idle>>);

/// An idle connection.
pub(super) struct Idle {
    pub(super) connection: Connection,
    pub(super) until_ms: u64,
    /// Under whose bounds it counts.
    pub(super) owner: Rc<Pool>,
}

impl Shelves {
    /// The shelf of an address.
    #[must_use]
    pub fn of(&self, address: &Address) -> Rc<Shelf> {
        if let Some(shelf) = self.0.borrow().get(address) {
            return shelf.clone();
        }
        self.0.borrow_mut().entry(address.clone()).or_default().clone()
    }

    /// Lets go of connections that were closed or have waited long enough, and of shelves that nobody uses. How many
    /// connections are left.
    pub fn sweep(&self, now_ms: u64) -> usize {
        let mut left = 0;
        self.0.borrow_mut().retain(|_, shelf| {
            let idle = shelf.sweep(now_ms);
            left += idle;
            idle > 0 || Rc::strong_count(shelf) > 1
        });
        left
    }
}

impl Shelf {
    /// Puts one on top.
    pub(super) fn put(&self, idle: Idle) {
        self.0.borrow_mut().push(idle);
    }

    /// The hottest that the pool may have: any, or one of its own where its place is all it has room for.
    pub(super) fn take(&self, pool: &Rc<Pool>, may_grow: bool) -> Option<Idle> {
        let mut idle = self.0.borrow_mut();
        if may_grow {
            return idle.pop();
        }
        let own = idle.iter().rposition(|idle| Rc::ptr_eq(&idle.owner, pool))?;
        Some(idle.remove(own))
    }

    /// Lets go of those that count under the pool.
    pub(super) fn clear(&self, pool: &Rc<Pool>) {
        self.let_go(|idle| Rc::ptr_eq(&idle.owner, pool));
    }

    fn sweep(&self, now_ms: u64) -> usize {
        self.let_go(|idle| idle.until_ms <= now_ms || !idle.is_quiet());
        self.0.borrow().len()
    }

    fn let_go(&self, mut gone: impl FnMut(&mut Idle) -> bool) {
        // Taken out first: an owner may be dropped with what it owned, and looks nothing up here.
        let gone: Vec<_> = self.0.borrow_mut().extract_if(.., |idle| gone(idle)).collect();
        for idle in gone {
            idle.connection.tx.sever();
            idle.owner.left();
        }
    }
}

impl Idle {
    /// Whether its pending receive has brought neither a close nor bytes that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.connection.rx.is_quiet()
    }
}
