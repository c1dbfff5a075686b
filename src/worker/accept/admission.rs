//! Who is let in at the door: the core's bound, an address's bound, and what is left of descriptors.
//!
//! Whoever is not let in to HTTP is told so with one answer that is sent without waiting, and closed. One descriptor is
//! held in reserve: where the process has no other, it lets the core take in who waits, say so and close, instead of
//! leaving them waiting. In scope: that. Out of scope: accepting (`accept`), the count of addresses (`wall::addresses`).

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::end::End;
use crate::limits::REFUSALS_PER_SECOND_MAX;
use crate::proto::edits::Edits;
use crate::proto::reply::{self, Content, REASON, Reply};
use crate::wall::addresses::{Counted, NotCounted};
use crate::worker::shard::Shard;
use crate::worker::shard::account::settle_refused;
use crate::worker::shard::buffer::Class;

/// What a door needs of its core.
#[derive(Default)]
pub struct Admission {
    reserve: RefCell<Option<OwnedFd>>,
    second: Cell<u64>,
    told: Cell<u32>,
}

/// Lets a connection in, counted where its address is.
///
/// # Errors
/// `End::CoreConnections`, `End::AddressConnections`.
pub fn admit(shard: &Shard, peer: SocketAddr) -> Result<Option<Counted>, End> {
    let Some(epoch) = shard.epoch() else { return Ok(None) };
    let rules = &epoch.snapshot().http;
    let most = match rules.connections_max {
        0 => shard.shared.connections_max,
        most => most as usize,
    };
    if shard.connections() >= most {
        return Err(End::CoreConnections);
    }
    let address = peer.ip().to_canonical();
    let proxy = || rules.proxy_from.contains(address) || rules.trusted_proxies.iter().any(|net| net.contains(&address));
    if rules.address_connections_max == 0 || proxy() {
        return Ok(None);
    }
    match shard.shared.addresses.enter(address, rules.address_connections_max) {
        Ok(counted) => Ok(Some(counted)),
        Err(NotCounted::Over) => Err(End::AddressConnections),
        Err(NotCounted::Full) => Err(End::CoreConnections),
    }
}

impl Admission {
    /// Takes a descriptor into reserve, unless there is one.
    pub fn reserve(&self) {
        let mut reserve = self.reserve.borrow_mut();
        if reserve.is_none() {
            *reserve = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok();
        }
    }

    /// Gives the reserve up, for an accept that comes at once. False where there is none.
    pub fn spend(&self) -> bool {
        self.reserve.borrow_mut().take().is_some()
    }

    /// Whether another one may be told this second; the others are only closed.
    fn may_tell(&self, second: u64) -> bool {
        if self.second.replace(second) != second {
            self.told.set(0);
        }
        self.told.set(self.told.get() + 1);
        self.told.get() <= REFUSALS_PER_SECOND_MAX
    }
}

/// Turns a connection away: it is told why, where it speaks HTTP, and closed.
pub fn turn_away(shard: &Shard, stream: impl AsFd, peer: IpAddr, speaks_http: bool, end: End) {
    // A core without connections does not look at the time.
    shard.clock.refresh();
    let told = speaks_http && shard.admission.may_tell(shard.clock.unix_s());
    let status = if told { tell(shard, stream.as_fd(), end) } else { 0 };
    settle_refused(shard, peer, end, status);
}

/// Gives the status that it was told, 0 for none.
fn tell(shard: &Shard, stream: BorrowedFd<'_>, end: End) -> u16 {
    let rules = shard.epoch().map(|epoch| (epoch.snapshot().http.legacy_status, epoch.snapshot().http.reason));
    let (legacy, says_why) = rules.unwrap_or((false, true));
    let Some(status) = end.status(legacy) else { return 0 };
    let reason = [(REASON, end.code().as_bytes())];
    let mut out = shard.buffers.lease(Class::Small);
    let id = shard.request_id();
    let reply = Reply {
        status,
        content: Content::Envelope,
        errno: status,
        errmsg: end.meaning().text,
        data: "",
        trace_id: id.bytes(),
        date: &shard.clock.date(),
        close: true,
        head_only: false,
        http10_keep_alive: false,
        fields: if says_why { &reason } else { &[] },
        edits: Edits::default(),
    };
    reply::render(out.vec(), &reply);
    // Nobody waits for somebody who is not let in: what the kernel does not take at once is lost.
    let _ = send(stream, out.bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    let _ = shutdown(stream, Shutdown::Write);
    // A close over unread bytes is a reset, which may overtake the answer.
    let mut unread = [0_u8; 4_096];
    let _ = recv(stream, &mut unread[..], RecvFlags::DONTWAIT);
    status
}
