//! A connection to a tcp service: who it is from, whether it may, to which endpoint, and then the tunnel.
//!
//! Everything that may refuse comes before the dial. A refused connection is closed without a byte, because what
//! it speaks is not known. Out of scope: the bytes (`tunnel`).

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::proxied;
use crate::end::{End, Retry};
use crate::ids::ServiceId;
use crate::limits::{CLIENT_LOOK_MS, PROXY_HEADER_MS};
use crate::proto::proxy_header;
use crate::wall::snapshot::{ProxyHeader, TcpRules};
use crate::worker::io::{Connection, Sender};
use crate::worker::policy;
use crate::worker::policy::filters;
use crate::worker::relay::tunnel::Terms;
use crate::worker::runtime;
use crate::worker::session::downstream::{Caller, Downstream, Switched};
use crate::worker::session::exchange::report_failed_dial;
use crate::worker::shard::account::{Account, Kind, begin, settle};
use crate::worker::shard::buffer::Class;
use crate::worker::shard::{Shard, ShardEpoch};
use crate::worker::upstream::connect::{self, Leased};
use crate::worker::upstream::replica::Tried;

/// Serves a connection that came in by the listener of this service.
pub async fn run(shard: Rc<Shard>, caller: Caller, service: Box<str>) {
    let peer = caller.peer;
    let mut down = Downstream::new(caller, &shard.deadlines);
    begin(&shard, &mut down.tab, down.peer.address);
    match open(&shard, &mut down, peer, &service).await {
        Ok(switched) => {
            down.switched = Some(Box::new(switched));
            down.become_tunnel(&shard);
        }
        Err(end) => {
            down.account_bytes();
            down.tab.get().end = Some(end);
            settle(&shard, &mut down.tab, Kind::Connection);
            down.tx.sever();
        }
    }
}

/// A connection to an endpoint on behalf of a client that may have one.
async fn open(shard: &Rc<Shard>, down: &mut Downstream, peer: SocketAddr, name: &str) -> Result<Switched, End> {
    let epoch = shard.epoch().ok_or(End::NoRoute)?;
    let snapshot = epoch.snapshot();
    let (id, rules) = snapshot.tcp_service(name).ok_or(End::NoRoute)?;
    down.tx.guard(rules.keepalive_ms, rules.user_timeout_ms);
    let mut client = peer;
    if rules.proxy_from.contains(peer.ip()) {
        let timeout_ms = u64::from(snapshot.http.head_timeout_ms);
        client = Box::pin(proxied::client(&mut down.source, peer, timeout_ms)).await?;
    }
    let service = snapshot.service(id);
    known(down.tab.get(), &epoch, id, shard.clock.now_us());
    if let Some(note) = down.tab.note() {
        note.connection(client.ip().to_canonical(), &service.name, &shard.buffers);
    }
    if service.down {
        return Err(End::ServiceDown);
    }
    let spared = policy::admit_connection(shard, service, client.ip().to_canonical(), &mut down.places)?;
    down.tab.get().spared = spared;
    filters::connection(service, client.ip().to_canonical())?;
    let key = service.upstream.balance.connection_key(client.ip());
    let Leased { mut connection, mut seat, .. } = dial(shard, &epoch, id, key, down).await?;
    connection.tx.guard(rules.keepalive_ms, rules.user_timeout_ms);
    introduce(shard, rules, client, down, &mut connection).await?;
    seat.slow_down();
    let terms = Terms::tcp(service.upstream.tunnel_idle_ms, service.upstream.tunnel_life_ms);
    Ok(Switched { connection, seat, early: None, terms })
}

/// Whom the connection is for is known.
fn known(account: &mut Account, epoch: &ShardEpoch, id: ServiceId, now_us: u64) {
    account.belongs_to(epoch.epoch(), Some(id));
    account.timing.head_us = now_us;
}

/// A connection to an endpoint, or to another where the first cannot be reached.
async fn dial(
    shard: &Rc<Shard>,
    epoch: &ShardEpoch,
    id: ServiceId,
    key: Option<u32>,
    down: &mut Downstream,
) -> Result<Leased, End> {
    let replica = shard.replica(epoch, id);
    let mut tried = Tried::default();
    let mut last = End::NoEndpoint;
    while tried.may_go_on() {
        let Some(endpoint) = replica.pick(&tried, key, &shard.clock) else { break };
        if let Some(note) = down.tab.note() {
            note.node(replica.node(endpoint), &shard.buffers);
        }
        let account = down.tab.get();
        let row = replica.pool(endpoint).row_id();
        account.begin_attempt(replica.upstream.endpoints[endpoint].id, row, shard.clock.now_us());
        shard.meter.attempt(row);
        let Downstream { tx, writing, tab, .. } = &mut *down;
        let timing = &mut tab.get().timing;
        let wanted = connect::acquire(&replica, endpoint, false, writing, &shard.buffers, timing);
        let acquired = while_wanted(shard, tx, pin!(wanted)).await;
        let account = down.tab.get();
        match acquired {
            Ok(leased) => {
                account.connected(leased.reused, shard.clock.now_us());
                replica.succeeded(endpoint, account.timing.connect_us(), || shard.clock.now_us());
                return Ok(leased);
            }
            Err(end) if end.meaning().retry == Retry::Unsent => {
                report_failed_dial(shard, epoch.epoch().id, &replica, endpoint);
                let now_us = shard.clock.now_us();
                replica.failed(endpoint, now_us.saturating_sub(account.timing.queued_us), now_us);
                tried.add(endpoint);
                if tried.may_go_on() {
                    shard.meter.retry(account, end);
                }
                last = end;
            }
            Err(end) => return Err(end),
        }
    }
    Err(last)
}

/// What comes of it, for as long as the client is there. It is looked after now and then: what it sends is the tunnel's,
/// and not received before.
async fn while_wanted<T>(
    shard: &Shard,
    tx: &Sender,
    mut wanted: Pin<&mut impl Future<Output = Result<T, End>>>,
) -> Result<T, End> {
    let mut look = pin!(runtime::sleep(Duration::from_millis(CLIENT_LOOK_MS)));
    poll_fn(|cx| match wanted.as_mut().poll(cx) {
        Poll::Ready(acquired) => Poll::Ready(acquired),
        Poll::Pending if shard.is_cut() => Poll::Ready(Err(End::Drained)),
        Poll::Pending => {
            while look.as_mut().poll(cx).is_ready() {
                if tx.is_broken() {
                    return Poll::Ready(Err(End::ClientLeft));
                }
                look.set(runtime::sleep(Duration::from_millis(CLIENT_LOOK_MS)));
            }
            Poll::Pending
        }
    })
    .await
}

/// Tells the endpoint who the client is, where it wants to know.
async fn introduce(
    shard: &Shard,
    rules: &TcpRules,
    client: SocketAddr,
    down: &Downstream,
    up: &mut Connection,
) -> Result<(), End> {
    let put = match rules.proxy_to {
        ProxyHeader::None => return Ok(()),
        ProxyHeader::V1 => proxy_header::put_v1,
        ProxyHeader::V2 => proxy_header::put_v2,
    };
    let mut header = shard.buffers.lease(Class::Small);
    put(header.vec(), client, down.tx.local_address().unwrap_or(client));
    let sent = up.tx.send(header, &down.writing, PROXY_HEADER_MS).await;
    sent.map(drop).map_err(|fault| if fault.late { End::UpstreamWriteTimeout } else { End::UpstreamClosed })
}
