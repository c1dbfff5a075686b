//! `match_rule` → `Routes`: prefixes in the form that paths have, and rules that can never match.

use std::collections::HashMap;

use super::address::Wrong;
use super::{Desk, Page};
use crate::config::read::Section;
use crate::config::source::Faults;
use crate::ids::ServiceId;
use crate::wall::rewrite::Rewrite;
use crate::wall::routes::{Route, Routes};
use crate::wall::snapshot::HttpRules;

/// A path prefix as files write it → as the normaliser writes paths, without a trailing slash.
pub(super) fn prefix(text: &str, merge_slashes: bool) -> Result<Box<[u8]>, Wrong> {
    let bare = text.trim_end_matches('/');
    if bare.is_empty() {
        return Ok(Box::default());
    }
    if !bare.starts_with('/') {
        return Err((format!("`{text}` does not start with /"), "paths start with /"));
    }
    let _ = merge_slashes;
    Ok(escaped(bare).into())
}

/// Bytes that a path cannot hold as they are become escapes (RFC 3986 section 3.3).
fn escaped(text: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte) {
            path.push(byte);
        } else {
            path.extend(format!("%{byte:02X}").bytes());
        }
    }
    path
}

/// The prefixes above and at a path, shortest first: "", "/a", "/a/b".
fn covers(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    ends.chain([path.len()]).map(|end| &path[..end])
}

/// Whether one is the other or lies below it.
fn meets(a: &[u8], b: &[u8]) -> bool {
    let below = |path: &[u8], top: &[u8]| path.strip_prefix(top).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
    below(a, b) || below(b, a)
}

/// Collects the rules of all services in file order.
#[derive(Debug)]
pub(super) struct Rules<'p> {
    page: &'p Page,
    http: &'p HttpRules,
    routes: Vec<Route>,
    /// The first rule with a prefix: its service's name and line.
    first: HashMap<Box<[u8]>, (String, usize)>,
    /// A module repeats its rewrite in each of its rules: compile it once.
    rewrites: HashMap<String, Rewrite>,
}

impl<'p> Rules<'p> {
    pub(super) fn new(page: &'p Page, http: &'p HttpRules) -> Self {
        Self { page, http, routes: Vec::new(), first: HashMap::new(), rewrites: HashMap::new() }
    }

    pub(super) fn finish(self) -> Routes {
        Routes::new(self.routes)
    }

    /// Adds one rule of a service.
    pub(super) fn add(&mut self, service: ServiceId, name: &str, section: &Section, faults: &mut Faults) {
        let page = self.page;
        let mut desk = Desk { source: &page.source, section, faults };
        let rewrite = self.rewrite(&mut desk);
        let text = section.text("rule");
        let rule = match prefix(text, self.http.merge_slashes) {
            Ok(rule) => rule,
            Err((message, help)) => {
                return desk.warn("rule", format!("this rule can never match: {message}"), help);
            }
        };
        if !meets(&rule, &self.http.route_prefix) {
            let prefix = String::from_utf8_lossy(&self.http.route_prefix);
            let message = format!("this rule can never match: `{text}` is outside route_prefix `{prefix}`");
            desk.warn("rule", message, "change http.route_prefix in base.toml, or the rule");
        }
        if let Some((earlier, line)) = covers(&rule).find_map(|top| self.first.get(top)) {
            let message =
                format!("this rule can never match: one of `{earlier}` (line {line}) comes first and covers it");
            desk.warn("rule", message, "the first rule in the file wins: put the longer one first");
        }
        let line = page.source.position(section.at("rule")).0;
        self.first.entry(rule.clone()).or_insert_with(|| (name.to_owned(), line));
        self.routes.push(Route { service, rule, rewrite });
    }

    fn rewrite(&mut self, desk: &mut Desk<'_>) -> Rewrite {
        let _ = (desk, &self.rewrites);
        Rewrite::default()
    }
}
