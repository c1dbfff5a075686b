//! `match_rule` → `Routes`: prefixes in the form that paths have, and rules that can never match.

use std::collections::HashMap;

use super::address::Wrong;
use super::{Desk, Page, headers};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::ids::ServiceId;
use crate::proto::target::canonical;
use crate::wall::composition::Place;
use crate::wall::rewrite::{Mode, Rewrite, RewriteFault};
use crate::wall::routes::{Route, Routes, covers};
use crate::wall::snapshot::HttpRules;

/// A path prefix as files write it → as the normaliser writes paths, without a trailing slash.
pub(super) fn prefix(text: &str, merge_slashes: bool) -> Result<Box<[u8]>, Wrong> {
    if text.trim_matches('/').is_empty() {
        return Ok(Box::default());
    }
    if !text.starts_with('/') {
        return Err((format!("`{text}` does not start with /"), "paths start with /"));
    }
    let (escaped, mut scratch) = (escaped(text), Vec::new());
    let mut path = canonical(&escaped, merge_slashes, &mut scratch).map_err(|_| {
        (format!("`{text}` is no path that can be asked for"), "no climbing, no hidden dots, each % begins an escape")
    })?;
    while let [shorter @ .., b'/'] = path {
        path = shorter;
    }
    Ok(path.into())
}

/// Bytes that a path cannot hold as they are become escapes (RFC 3986 section 3.3). GateKeeper compares
/// rules with decoded paths, so a blank or another script in a rule is meant as itself.
fn escaped(text: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"#?\\".contains(&byte) {
            path.push(byte);
        } else {
            path.extend(format!("%{byte:02X}").bytes());
        }
    }
    path
}

/// Collects the rules of all services in file order.
#[derive(Debug)]
pub(super) struct Rules<'p> {
    page: &'p Page,
    http: &'p HttpRules,
    routes: Vec<Route>,
    /// Of each route, its service's name and where its rule stands.
    origins: Vec<(&'p str, usize)>,
    /// A module repeats its rewrite in each of its rules: compile it once.
    rewrites: HashMap<&'p str, Rewrite>,
}

impl<'p> Rules<'p> {
    pub(super) fn new(page: &'p Page, http: &'p HttpRules) -> Self {
        Self { page, http, routes: Vec::new(), origins: Vec::new(), rewrites: HashMap::new() }
    }

    /// The index, once every rule is known. Says of each rule that an earlier one covers that it is idle.
    pub(super) fn finish(self, faults: &mut Faults) -> Routes {
        let routes = Routes::new(self.routes);
        let source = &self.page.source;
        for (position, (route, (_, at))) in routes.all().iter().zip(&self.origins).enumerate() {
            let Some(first) = routes.position(&route.rule).filter(|first| *first != position) else { continue };
            let (name, place) = self.origins[first];
            let line = source.position(place).0;
            let message = format!("this rule can never match: one of `{name}` (line {line}) comes first and covers it");
            faults.warn(source, *at, message, "the first rule in the file wins: put the longer one first");
        }
        routes
    }

    /// Adds one rule of a service.
    pub(super) fn add(
        &mut self,
        service: ServiceId,
        name: &'p str,
        section: &'p Section,
        shape: &'p Section,
        faults: &mut Faults,
    ) {
        let page = self.page;
        let mut desk = Desk { source: &page.source, section, faults };
        let rewrite = self.rewrite(&mut desk, section, shape.text("mode"));
        let text = section.text("rule");
        let rule = match prefix(text, self.http.merge_slashes) {
            Ok(rule) => rule,
            Err((message, help)) => {
                return desk.warn("rule", format!("this rule can never match: {message}"), help);
            }
        };
        let top = &self.http.route_prefix;
        if !covers(top, &rule) && !covers(&rule, top) {
            let prefix = String::from_utf8_lossy(top);
            let message = format!("this rule can never match: `{text}` is outside route_prefix `{prefix}`");
            desk.warn("rule", message, "change http.route_prefix in base.toml, or the rule");
        }
        let strip = if shape.flag("strip_prefix") { rule.len() } else { 0 };
        let mode = if shape.text("mode") == "sequence" { Mode::Sequence } else { Mode::First };
        let rewrite = if rewrite.composition().is_some() { rewrite } else { rewrite.with(mode, strip) };
        self.origins.push((name, section.at("rule")));
        self.routes.push(Route { service, rule, rewrite });
    }

    fn rewrite(&mut self, desk: &mut Desk<'_>, section: &'p Section, mode: &str) -> Rewrite {
        let text = section.raw("url_rewrite");
        if mode == "expression" {
            if text.is_empty() {
                return Rewrite::default();
            }
            return headers::composition(desk, "url_rewrite", Place::Target).map_or(Rewrite::default(), Rewrite::composed);
        }
        if let Some(known) = self.rewrites.get(text) {
            return known.clone();
        }
        let (rewrite, faults) = Rewrite::parse(text);
        for RewriteFault { warning, offset, item, message } in faults {
            let at = section.inside(desk.source, "url_rewrite", offset);
            let help = format!("in the item `{item}`");
            if warning {
                desk.faults.warn(desk.source, at, message, help);
            } else {
                desk.faults.error(desk.source, at, message, help);
            }
        }
        self.rewrites.insert(text, rewrite.clone());
        rewrite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> String {
        String::from_utf8_lossy(&prefix(text, true).expect(text)).into_owned()
    }

    #[test]
    fn rules_take_the_form_that_paths_have() {
        assert_eq!(form("/a//b/"), "/a/b");
        assert_eq!(form("/a/./b/../c"), "/a/c");
        assert_eq!(form("/%7ea%2fb"), "/~a%2Fb");
        assert_eq!(form("/a b?c#d\\"), "/a%20b%3Fc%23d%5C");
        assert_eq!(form("/\u{8ba2}"), "/%E8%AE%A2");
        for everything in ["", "/", "//"] {
            assert_eq!(form(everything), "");
        }
    }

    #[test]
    fn what_no_request_can_ask_for_is_no_rule() {
        for text in ["a", "a/b", "/a/../..", "/%00", "/%zz", "/a/..%2f"] {
            assert!(prefix(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn slashes_are_merged_only_where_paths_have_them_merged() {
        assert_eq!(&*prefix("/a//b", false).expect("a path"), b"/a//b");
    }
}
