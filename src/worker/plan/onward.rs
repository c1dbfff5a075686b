//! The head of a request as it goes on, and once more for the service that gets copies.
//!
//! In scope: what it is made of. Out of scope: where it goes (`plan`), how it is written (`proto::forward`).

use super::Desk;
use super::Passed;
use super::Terms;
use super::without_credentials;
use crate::end::End;
use crate::proto::edits::Edits;
use crate::proto::forward::{self, Onward};
use crate::proto::head::Body;
use crate::proto::trace_context::TraceOnward;
use crate::wall::composition::{Taken, Target};
use crate::wall::group::Group;
use crate::wall::mirror::MirrorRules;
use crate::worker::policy::headers::{self, Material};
use crate::worker::shard::Scratch;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::upstream::mirror::{self, Mirrored};
use crate::worker::upstream::replica::{Replica, Tried};

/// By how much a head mostly grows at most: the fields that say who the client is, a trace, a service's rules.
const HEAD_GROWTH_BYTES: usize = 1_024;

impl Desk<'_> {
    /// The head as it goes on.
    pub(super) fn render(&self, passed: &Passed<'_>, node: &str, terms: &Terms) -> Result<Lease, End> {
        let Passed { route, service, permit, path, client, is_copy } = passed;
        let head = self.head;
        let rewriting = &mut *self.shard.rewriting.borrow_mut();
        let Scratch { query: stripped, value, other, composed, target, edits, .. } =
            &mut *self.shard.scratch.borrow_mut();
        let query = head
            .query
            .map(|query| if permit.strips_credentials() { without_credentials(query, stripped) } else { query });
        let strips_form = permit.strips_credentials() && head.is_form;
        let body = self.question.body.map(|body| if strips_form { without_credentials(body, value) } else { body });
        let told = terms.trace.filter(|trace| !trace.passes).zip(self.incoming);
        let trace = told
            .map(|(trace, incoming)| TraceOnward { incoming: *incoming, parent: trace.onward(self.question.attempts) });
        let group = Group::of(permit.tenant());
        let (mut added, mut count) = group.fields();
        if *is_copy {
            added[count] = mirror::FIELD;
            count += 1;
        }
        let peer = self.question.peer;
        let behind = peer.behind(*client);
        let taken = Taken { route, path };
        let material = Material { head, taken, client: &behind, id: &terms.request_id };
        let origin = || material.origin(query.unwrap_or_default());
        let id_rules = &self.rules.request_id;
        edits.clear();
        edits.extend_from_slice(permit.edits());
        edits.extend_from_slice(permit.credentials_off());
        headers::edit_request((edits, other, composed), service.headers.as_deref(), id_rules, origin, material.id);
        if let Some(filtered) = &self.question.said.borrow().edits {
            edits.extend_from_slice(filtered.bytes());
        }
        let target = match route.rewrite.composition() {
            Some(composition) => composition.target(&origin(), other, target).ok_or(End::BadRewrite)?,
            None => Target {
                path: route.rewrite.apply(path, rewriting),
                query: query.filter(|query| !query.is_empty() || head.query.is_some_and(<[u8]>::is_empty)),
            },
        };
        let onward = Onward {
            path: target.path,
            query: target.query,
            host: service.host_for(self.rules, head.host, node),
            body: body.map_or(head.body, |body| Body::Length(body.len() as u64)),
            client: behind.text(),
            peer: peer.text(),
            trusted: self.rules.trusted_proxies.iter().any(|net| net.contains(&peer.address)),
            proto: "http",
            via: self.rules.via.then_some(self.shard.shared.pseudonym.as_bytes()),
            request_id: if id_rules.header.is_none() { terms.request_id.bytes() } else { b"" },
            trace: trace.as_ref(),
            added: &added[..count],
            edits: Edits::new(edits),
            underscore_fields: self.rules.underscore_fields,
            upgrade_websocket: head.upgrade_websocket,
            expect_continue: head.expects_continue && body.is_none() && !is_copy,
            te_trailers: head.te_trailers && service.trailers,
        };
        let class = Class::for_bytes((head.head_bytes + body.map_or(0, <[u8]>::len) + HEAD_GROWTH_BYTES) as u64);
        let mut out = self.shard.buffers.lease(class);
        forward::request(out.vec(), head, &onward);
        if let Some(body) = body {
            out.vec().extend_from_slice(body);
        }
        Ok(out)
    }

    /// The request once more, for the service that gets copies.
    #[inline(never)]
    pub(super) fn copy(
        &self,
        rules: &MirrorRules,
        of: &Replica,
        passed: &Passed<'_>,
        terms: &Terms,
    ) -> Option<Box<Mirrored>> {
        let repeats = self.question.attempts > 0 || self.head.upgrade_websocket;
        if repeats || !of.copies.is_next(rules) {
            return None;
        }
        let service = self.epoch.snapshot().service(rules.service);
        if service.down {
            return None;
        }
        let replica = self.shard.replica(self.epoch, rules.service);
        let key = self.key(service, passed.path, passed.client);
        let endpoint = replica.pick(&Tried::default(), key, &self.shard.clock);
        let place = of.copies.enter(rules, self.shard.shared.workers);
        let (Some(endpoint), Some(place)) = (endpoint, place) else {
            self.shard.meter.copy_dropped();
            return None;
        };
        let out = self.render(&Passed { service, is_copy: true, ..*passed }, replica.node(endpoint), terms).ok()?;
        let (method, epoch, timeout_ms) = (self.head.method, self.epoch.epoch().id, rules.timeout_ms);
        Some(Box::new(Mirrored { replica, endpoint, out, method, epoch, timeout_ms, place }))
    }
}
