//! A service's header rules and its word on other origins' pages, carried out: on the head that goes to an endpoint and
//! on the answer's.
//!
//! In scope: whose edits there are, what composed values may take from a request, and a request's id where it goes by
//! another name. Out of scope: the rules (`wall/headers`), how edits are written into a head (`proto/edits`).

use super::dressing::Dressing;
use crate::end::End;
use crate::proto::edits::{self, Edit};
use crate::proto::head::RequestHead;
use crate::wall::composition::{Origin, Taken};
use crate::wall::cors::{Cors, Crossing};
use crate::wall::headers::{self, HeaderRules};
use crate::wall::snapshot::RequestIdRules;
use crate::worker::plan::request_id::RequestId;
use crate::worker::plan::without_credentials;
use crate::worker::session::downstream::Peer;
use crate::worker::shard::{Scratch, Shard};

/// A request, as texts that are composed see it.
pub struct Material<'a> {
    /// Its head.
    pub head: &'a RequestHead<'a>,
    /// Its normalised path, and the rule that took it.
    pub taken: Taken<'a>,
    /// The client, as far as proxies in between are trusted.
    pub client: &'a Peer,
    /// Its id.
    pub id: &'a RequestId,
}

impl Material<'_> {
    /// What may be taken from it.
    #[must_use]
    pub fn origin<'o>(&'o self, query: &'o [u8]) -> Origin<'o> {
        Origin {
            path: self.taken.path,
            query,
            fields: self.head.fields,
            method: self.head.method_text,
            host: self.head.host,
            client: self.client.text(),
            request_id: self.id.bytes(),
            params: &self.taken,
        }
    }
}

/// The answer is dressed as the service's rules say. `hides_credentials`: `app_id` and `sign` are none of their business.
pub fn dress(
    shard: &Shard,
    rules: &HeaderRules,
    material: &Material<'_>,
    hides_credentials: bool,
    dressing: &Dressing,
) {
    if rules.response.is_empty() {
        return;
    }
    let Scratch { query: stripped, other, composed, .. } = &mut *shard.scratch.borrow_mut();
    let composes = rules.response.iter().any(|rule| rule.value.constant().is_none());
    let query = material.head.query.unwrap_or_default();
    let query = if hides_credentials && composes { without_credentials(query, stripped) } else { query };
    headers::write(&rules.response, &material.origin(query), (other, composed), |edit, name, value| {
        dressing.say(&shard.buffers, edit, name, value);
    });
}

/// The answer says which pages may read it.
///
/// # Errors
/// As `Cors::cross`.
pub fn cross(shard: &Shard, cors: &Cors, head: &RequestHead<'_>, dressing: &Dressing) -> Result<Crossing, End> {
    cors.cross(head, |edit, name, value| dressing.say(&shard.buffers, edit, name, value))
}

/// The answer has the request's id, where it is to have it.
pub fn tell_id(shard: &Shard, rules: &RequestIdRules, id: &[u8], dressing: &Dressing) {
    if rules.on_answer {
        dressing.set(&shard.buffers, rules.name().as_bytes(), id);
    }
}

/// Adds what is done to the head that goes on to the edits; the other two are room.
pub fn edit_request<'o>(
    (edits, decoded, composed): (&mut Vec<u8>, &mut Vec<u8>, &mut Vec<u8>),
    rules: Option<&HeaderRules>,
    id_rules: &RequestIdRules,
    origin: impl FnOnce() -> Origin<'o>,
    id: &RequestId,
) {
    if let Some(name) = &id_rules.header {
        edits::push(edits, Edit::Set, name.as_bytes(), id.bytes());
    }
    if let Some(rules) = rules.filter(|rules| !rules.request.is_empty()) {
        headers::write(&rules.request, &origin(), (decoded, composed), |edit, name, value| {
            edits::say(edits, edit, name, value);
        });
    }
}
