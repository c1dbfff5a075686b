//! The account of an exchange: what it was, how it ended, how long its steps took, how many bytes it moved.
//!
//! In scope: what is kept, where it is kept meanwhile, and the one place that everything comes by when it is over
//! (`settle`). A connection that waits for a request has no account: the core lends the room for one (`Tab`). Out of
//! scope: what is counted (`meter`).

use std::cell::RefCell;
use std::net::IpAddr;

use super::log::Note;
use crate::end::End;
use crate::ids::{EndpointId, EpochId, ServiceId, TenantId};
use crate::limits::ACCOUNTS_KEPT;
use crate::wall::epoch::Epoch;
use crate::wall::slot::RowId;
use crate::wall::timing::Timing;
use crate::wall::trace::Trace;
use crate::worker::plan::Terms;
use crate::worker::plan::request_id::RequestId;
use crate::worker::policy::filters::Said;
use crate::worker::shard::Shard;

/// Where an exchange is counted beside its core.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountedIn {
    /// The service's row.
    pub service: RowId,
    /// The endpoint's.
    pub endpoint: RowId,
    /// The tenant's.
    pub tenant: RowId,
}

/// What is known of an exchange, complete when it is over.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// The epoch that the numbers below are of.
    pub epoch: EpochId,
    /// The service it went to.
    pub service: Option<ServiceId>,
    /// The endpoint of the last attempt.
    pub endpoint: Option<EndpointId>,
    /// On whose behalf, where that was asked and answered.
    pub tenant: Option<TenantId>,
    /// Where these three are counted.
    pub rows: CountedIn,
    /// The status that the client was sent; 0 is none.
    pub status: u16,
    /// How it ended early.
    pub end: Option<End>,
    /// Bytes of the client: the head and the body as it sent them.
    pub bytes_in: u64,
    /// Bytes to the client: heads and the body as it was sent them.
    pub bytes_out: u64,
    /// How many of these are of heads.
    pub head_bytes_out: u32,
    /// How often an endpoint was tried.
    pub attempts: u8,
    /// The last attempt went over a connection that had served before.
    pub reused: bool,
    /// When.
    pub timing: Timing,
    /// Its id; none where no head was understood.
    pub request_id: Option<RequestId>,
    /// Its trace, where requests have any.
    pub trace: Option<Trace>,
    /// For what a rule in dry run would have refused it.
    pub spared: Option<End>,
}

impl Account {
    /// Nothing is known but when it began.
    #[must_use]
    pub fn begun(now_us: u64) -> Self {
        Self {
            epoch: EpochId(0),
            service: None,
            endpoint: None,
            tenant: None,
            rows: CountedIn::default(),
            status: 0,
            end: None,
            bytes_in: 0,
            bytes_out: 0,
            head_bytes_out: 0,
            attempts: 0,
            reused: false,
            timing: Timing { begun_us: now_us, ..Timing::default() },
            request_id: None,
            trace: None,
            spared: None,
        }
    }

    /// What is done with the request was decided; a head that was not understood has no time.
    pub fn planned(&mut self, epoch: &Epoch, terms: &Terms, now_us: u64) {
        self.belongs_to(epoch, terms.service);
        self.tenant = terms.tenant;
        self.rows.tenant = terms.tenant.map_or(RowId::NONE, |tenant| epoch.rows.tenant(tenant));
        self.request_id = Some(terms.request_id);
        self.trace = terms.trace;
        self.spared = terms.spared;
        if terms.head_bytes > 0 && self.timing.head_us == 0 {
            self.timing.head_us = now_us;
        }
    }

    /// An answer of this status goes out, with so many bytes of heads, interim ones before it included.
    pub fn answered(&mut self, status: u16, head_bytes: usize) {
        self.status = status;
        self.head_bytes_out = self.head_bytes_out.saturating_add(u32::try_from(head_bytes).unwrap_or(u32::MAX));
    }

    /// The service is known, or that there is none.
    pub fn belongs_to(&mut self, epoch: &Epoch, service: Option<ServiceId>) {
        self.epoch = epoch.id;
        self.service = service;
        self.rows.service = service.map_or(RowId::NONE, |service| epoch.rows.service(service));
    }

    /// A connection to an endpoint is wanted.
    pub fn begin_attempt(&mut self, endpoint: EndpointId, row: RowId, now_us: u64) {
        self.endpoint = Some(endpoint);
        self.rows.endpoint = row;
        self.attempts = self.attempts.saturating_add(1);
        self.reused = false;
        self.timing.begin_attempt(now_us);
    }

    /// There is one.
    pub fn connected(&mut self, reused: bool, now_us: u64) {
        self.reused = reused;
        self.timing.connected_us = now_us;
    }
}

/// What an account is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request and its answer.
    Exchange,
    /// A request whose connection became a tunnel: that goes on, and so does its account.
    Switch,
    /// A tunnel, with the request that it began with.
    Tunnel,
    /// A connection that came to nothing: no request was read and no tunnel opened.
    Connection,
}

/// Something begins that will be over, with the client at this address.
pub fn begin(shard: &Shard, tab: &mut Tab, peer: IpAddr) {
    shard.accounts.open(tab, shard.clock.now_us());
    if shard.log.is_on() {
        tab.sheet().note = Some(Note::new(peer, &shard.buffers));
    }
}

/// What is over comes by here, once, whatever it was: it is counted and logged. Gives the room back.
pub fn settle(shard: &Shard, tab: &mut Tab, kind: Kind) {
    let Sheet { account, note, said } = tab.sheet();
    account.timing.end_us = shard.clock.now_us();
    shard.meter.settle(kind, account);
    if let Some(noted) = note {
        shard.log.record(kind, account, noted);
    }
    if kind != Kind::Switch {
        *note = None;
        *said.get_mut() = Said::default();
        shard.accounts.take_back(tab);
    }
}

/// An attempt failed and is followed by another, at this endpoint. It is recorded where its trace is.
pub fn attempt_failed(shard: &Shard, tab: &mut Tab, end: End, next: &str) {
    let Sheet { account, note, .. } = tab.sheet();
    let Some(note) = note else { return };
    if account.trace.is_some_and(|trace| trace.is_sampled()) {
        let timing = Timing { end_us: shard.clock.now_us(), ..account.timing };
        shard.log.attempt(&Account { end: Some(end), timing, ..*account }, note);
    }
    note.node(next, &shard.buffers);
}

/// As `settle`, of a connection that was turned away before anything was known of it, and maybe told so.
pub fn settle_refused(shard: &Shard, peer: IpAddr, end: End, status: u16) {
    let now_us = shard.clock.now_us();
    let account = Account {
        end: Some(end),
        status,
        timing: Timing { begun_us: now_us, end_us: now_us, ..Timing::default() },
        ..Account::begun(now_us)
    };
    shard.meter.settle(Kind::Connection, &account);
    if shard.log.is_on() {
        shard.log.record(Kind::Connection, &account, &Note::new(peer, &shard.buffers));
    }
}

/// Room of one core for accounts that nobody needs now.
#[derive(Debug, Default)]
pub struct Accounts(RefCell<Vec<Tab>>);

impl Accounts {
    /// Begins an account.
    pub fn open(&self, tab: &mut Tab, now_us: u64) {
        if let Some(kept) = self.0.borrow_mut().pop() {
            *tab = kept;
        }
        *tab.get() = Account::begun(now_us);
    }

    fn take_back(&self, tab: &mut Tab) {
        let (mut kept, tab) = (self.0.borrow_mut(), std::mem::take(tab));
        if kept.len() < ACCOUNTS_KEPT {
            kept.push(tab);
        }
    }
}

/// An account, and what the log notes of it.
#[derive(Debug)]
struct Sheet {
    account: Account,
    note: Option<Note>,
    said: RefCell<Said>,
}

/// Where the account in hand is; empty while nothing is.
#[derive(Debug, Default)]
pub struct Tab(Option<Box<Sheet>>);

impl Tab {
    /// The account in hand; a fresh one where none was begun.
    #[inline]
    pub fn get(&mut self) -> &mut Account {
        &mut self.sheet().account
    }

    /// What is noted of it; `None` where it is neither logged nor traced.
    #[inline]
    pub fn note(&mut self) -> &mut Option<Note> {
        &mut self.sheet().note
    }

    /// What filters have said of it.
    #[inline]
    pub fn said(&mut self) -> &mut Said {
        self.sheet().said.get_mut()
    }

    /// Room for what is noted and what filters say while the request is looked at.
    #[inline]
    pub fn notes(&mut self) -> (&mut Option<Note>, &RefCell<Said>) {
        let Sheet { note, said, .. } = self.sheet();
        (note, said)
    }

    #[inline]
    fn sheet(&mut self) -> &mut Sheet {
        self.0
            .get_or_insert_with(|| Box::new(Sheet { account: Account::begun(0), note: None, said: RefCell::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_comes_back_is_lent_again_without_what_was_in_it() {
        let (accounts, mut tab) = (Accounts::default(), Tab::default());
        accounts.open(&mut tab, 7);
        let place = std::ptr::from_mut(tab.get());
        tab.get().bytes_in = 9;
        accounts.take_back(&mut tab);
        accounts.open(&mut tab, 8);
        let account = tab.get();
        assert_eq!((account.bytes_in, account.timing.begun_us), (0, 8));
        assert!(std::ptr::eq(account, place));
    }

    #[test]
    fn a_connection_that_waits_holds_no_room() {
        let (accounts, mut tab) = (Accounts::default(), Tab::default());
        accounts.open(&mut tab, 1);
        accounts.take_back(&mut tab);
        assert!(tab.0.is_none());
    }

    #[test]
    fn every_attempt_counts_and_the_last_is_told() {
        let mut account = Account::begun(1);
        account.begin_attempt(EndpointId(4), RowId::NONE, 10);
        account.connected(true, 10);
        account.begin_attempt(EndpointId(5), RowId::NONE, 20);
        assert_eq!((account.attempts, account.endpoint, account.reused), (2, Some(EndpointId(5)), false));
        assert_eq!((account.timing.queued_us, account.timing.connected_us), (20, 0));
    }
}
