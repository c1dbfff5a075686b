//! What a service gives a request and its answer, and holds the request to, as `explain` tells it.
//!
//! Out of scope: deciding any of it (`wall`).

use super::request::Peer;
use super::story::{self, Story};
use crate::end::End;
use crate::proto::edits::{self, Edit, Edits};
use crate::proto::form;
use crate::proto::head::{Body, RequestHead};
use crate::wall::attribute::Parts;
use crate::wall::composition::{Origin, Taken};
use crate::wall::cors::Crossing;
use crate::wall::default_answer::When;
use crate::wall::headers::{self, HeaderRule};
use crate::wall::snapshot::{RequestIdRules, Service};
use crate::wall::validation::Demand;

/// What a request's id would be.
pub(super) const ID: &[u8] = b"(an id)";

/// A request and its service.
#[derive(Clone, Copy)]
pub(super) struct Shape<'s> {
    pub(super) service: &'s Service,
    pub(super) head: &'s RequestHead<'s>,
    pub(super) taken: Taken<'s>,
}

/// A target that goes on.
pub(super) struct Target {
    pub(super) path: Vec<u8>,
    pub(super) query: Option<Vec<u8>>,
}

impl Shape<'_> {
    /// The query that goes on unless it is composed.
    pub(super) fn query(&self) -> Option<Vec<u8>> {
        let query = self.head.query?;
        if !self.service.access.open {
            return Some(query.to_vec());
        }
        let mut stripped = Vec::new();
        form::strip(query, &[b"app_id", b"sign"], &mut stripped);
        (!stripped.is_empty() || query.is_empty()).then_some(stripped)
    }

    fn with_origin<T>(&self, peer: &Peer, take: impl FnOnce(&Origin<'_>) -> T) -> T {
        let (query, client) = (self.query().unwrap_or_default(), peer.client.to_string());
        take(&Origin {
            path: self.taken.path,
            query: &query,
            fields: self.head.fields,
            method: self.head.method_text,
            host: self.head.host,
            client: client.as_bytes(),
            request_id: ID,
            params: &self.taken,
        })
    }

    /// The target that its rule composes, where it does.
    pub(super) fn composed(&self, story: &mut Story, peer: &Peer) -> Result<Option<Target>, End> {
        let Some(composition) = self.taken.route.rewrite.composition() else { return Ok(None) };
        let composed = self.with_origin(peer, |origin| {
            let mut out = Vec::new();
            let target = composition.target(origin, &mut Vec::new(), &mut out)?;
            Some(Target { path: target.path.to_vec(), query: target.query.map(<[u8]>::to_vec) })
        });
        let told = composed.as_ref().map_or("a value would make the path climb".to_owned(), |target| {
            let query = target.query.as_ref().map_or(String::new(), |query| format!("?{}", story::text(query)));
            format!("{}{query}", story::text(&target.path))
        });
        story.lines("rewrite", &[told, format!("by the expression {}", composition.text())]);
        composed.map(Some).ok_or(End::BadRewrite)
    }

    fn edits(&self, peer: &Peer, rules: &[HeaderRule]) -> Vec<u8> {
        let mut pushed = Vec::new();
        self.with_origin(peer, |origin| {
            headers::write(rules, origin, (&mut Vec::new(), &mut Vec::new()), |edit, name, value| {
                edits::push(&mut pushed, edit, name, value);
            });
        });
        pushed
    }

    /// What is done to the head that goes on.
    pub(super) fn request_edits(&self, peer: &Peer, id: &RequestIdRules) -> Vec<u8> {
        let mut pushed = Vec::new();
        if let Some(name) = &id.header {
            edits::push(&mut pushed, Edit::Set, name.as_bytes(), ID);
        }
        let rules = self.service.headers.as_deref().map_or(&[][..], |rules| &rules.request);
        pushed.extend(self.edits(peer, rules));
        pushed
    }

    /// What the answer would be given; true where the request is a preflight.
    pub(super) fn answer(&self, story: &mut Story, peer: &Peer, id: &RequestIdRules) -> Result<bool, End> {
        let mut pushed = Vec::new();
        if id.on_answer {
            edits::push(&mut pushed, Edit::Set, id.name().as_bytes(), ID);
        }
        let rules = self.service.headers.as_deref().map_or(&[][..], |rules| &rules.response);
        pushed.extend(self.edits(peer, rules));
        let crossing = self.service.cors.as_ref().map_or(Ok(Crossing::Goes), |cors| {
            cors.cross(self.head, |edit, name, value| {
                edits::push(&mut pushed, edit, name, value);
            })
        });
        let mut lines = Vec::new();
        Edits::new(&pushed).put(&mut lines);
        let lines: Vec<_> = lines.split(|byte| *byte == b'\n').map(|line| story::text(line.trim_ascii_end())).collect();
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        story.lines("answered", &lines);
        crossing.map(|crossing| crossing == Crossing::Preflight)
    }

    /// Its validation rules; the first that the request does not meet ends it.
    pub(super) fn validation(&self, story: &mut Story) -> Result<(), End> {
        let Some(rules) = &self.service.validation else { return Ok(()) };
        let broken = rules.broken_by_head(&Parts::of(self.head), &mut Vec::new());
        let mut told = Vec::new();
        for rule in &rules.head {
            let met = if broken.is_some_and(|broken| std::ptr::eq(broken, rule)) { "   (not met)" } else { "" };
            told.push(format!("{} {}{met}", rule.part, demanded(&rule.demand)));
        }
        for rule in &rules.body {
            told.push(format!("json.{} {}   (not looked at here)", rule.path.join("."), demanded(&rule.demand)));
        }
        story.lines("validation", &told);
        let absent = self.head.body == Body::None && rules.broken_by_body(b"", &mut Vec::new()).is_some();
        if broken.is_some() || absent { Err(End::Invalid) } else { Ok(()) }
    }

    /// Whether its default answer is given without asking an endpoint.
    pub(super) fn default_answer(&self, story: &mut Story) -> bool {
        let Some(answer) = &self.service.default_answer else { return false };
        let when = if answer.when == When::Always { "always" } else { "where every endpoint fails" };
        story.line("default", &format!("{when}: {}, {} bytes", answer.status, answer.body.len()));
        answer.when == When::Always
    }
}

fn demanded(demand: &Demand) -> String {
    let required = if demand.required { "required" } else { "optional" };
    demand.matches.iter().fold(required.to_owned(), |told, expression| format!("{told}, {}", expression.text()))
}
