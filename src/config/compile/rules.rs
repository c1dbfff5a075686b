//! `match_rule` → `Routes`: paths in the form that requests have, the order of rules, and those that can never match.

use std::collections::HashMap;

use super::address::Wrong;
use super::{Desk, Page, demands, headers, order, pattern};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::ids::ServiceId;
use crate::proto::target::canonical;
use crate::wall::composition::Place;
use crate::wall::rewrite::{Mode, Rewrite, RewriteFault};
use crate::wall::routes::{Kind, Route, Routes, check, covers};
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

/// A whole path, likewise. A slash at its end stays, because it is another path with it.
fn exact(text: &str, merge_slashes: bool) -> Result<Box<[u8]>, Wrong> {
    let path = prefix(text, merge_slashes)?;
    match (text.ends_with('/'), path.is_empty()) {
        (_, true) if text.is_empty() => Err(("an empty path".into(), "write /path, or / for the root")),
        (true, _) => Ok([&*path, b"/"].concat().into()),
        (false, _) => Ok(path),
    }
}

/// A kind of rule, as a key.
fn tag(kind: &Kind) -> u8 {
    match kind {
        Kind::Prefix => 0,
        Kind::Exact => 1,
        Kind::Pattern(_) => 2,
        Kind::Regex => 3,
    }
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
    /// Each with its origin.
    routes: Vec<(Route, Origin<'p>)>,
    /// A module repeats its rewrite in each of its rules: compile it once.
    rewrites: HashMap<&'p str, Rewrite>,
}

/// Whose rule it is and where it stands.
#[derive(Clone, Copy, Debug)]
struct Origin<'p> {
    name: &'p str,
    at: usize,
}

impl<'p> Rules<'p> {
    pub(super) fn new(page: &'p Page, http: &'p HttpRules) -> Self {
        Self { page, http, routes: Vec::new(), rewrites: HashMap::new() }
    }

    /// The index, once every rule is known. Says of each rule that an earlier one covers that it is idle.
    pub(super) fn finish(mut self, faults: &mut Faults) -> Routes {
        order::sort(&mut self.routes, self.http.specific_first);
        let (routes, origins): (Vec<_>, Vec<_>) = std::mem::take(&mut self.routes).into_iter().unzip();
        let source = &self.page.source;
        let routes = Routes::build(routes).unwrap_or_else(|message| {
            faults.error(source, 0, message, "write some of them as prefixes or patterns");
            Routes::default()
        });
        let mut known = HashMap::new();
        for (position, route) in routes.all().iter().enumerate() {
            // Two equal patterns or expressions: what `shadow` cannot see.
            let twin = *known.entry((tag(&route.kind), &*route.rule)).or_insert(position);
            let twin = (twin < position && routes.all()[twin].demands.is_wider(&route.demands)).then_some(twin);
            let Some(first) = routes.shadow(position).or(twin) else { continue };
            let Origin { name, at } = origins[first];
            let line = source.position(at).0;
            let message = format!("this rule can never match: one of `{name}` (line {line}) comes first and covers it");
            faults.warn(source, origins[position].at, message, self.advice(&routes.all()[first], route));
        }
        routes
    }

    fn advice(&self, first: &Route, covered: &Route) -> &'static str {
        if first.priority == covered.priority && !self.http.specific_first {
            "the first rule in the file wins: put the longer one first"
        } else {
            "`gatekeeper explain` shows the order in which rules are tried"
        }
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
        let demands = demands::demands(&mut desk);
        let Some((kind, rule)) = self.matcher(&mut desk) else { return };
        let rewrite = shaped(&mut desk, shape, rewrite, &kind, &rule);
        let number = self.routes.len() + 1;
        let priority = i32::try_from(section.int("priority")).expect("the schema's range lies within i32");
        let route = Route { service, kind, rule, demands, priority, number, rewrite };
        self.warn_outside(&mut desk, &route);
        Self::warn_own(&mut desk, &route);
        self.routes.push((route, Origin { name, at: section.at("rule") }));
    }

    /// How the rule compares paths, and with what.
    fn matcher(&self, desk: &mut Desk<'_>) -> Option<(Kind, Box<[u8]>)> {
        let text = desk.section.text("rule");
        match desk.section.text("type") {
            "url_exact" => match exact(text, self.http.merge_slashes) {
                Ok(path) => return Some((Kind::Exact, path)),
                Err((message, help)) => desk.error("rule", message, help),
            },
            "url_pattern" => match pattern::parse(text) {
                Ok(pattern) => return Some((Kind::Pattern(pattern), text.as_bytes().into())),
                Err((offset, message, help)) => {
                    let at = desk.section.inside(desk.source, "rule", offset);
                    desk.faults.error(desk.source, at, message, help);
                }
            },
            "url_regex" if text.is_empty() => desk.error("rule", "an empty expression".into(), "write one"),
            "url_regex" => match check(text) {
                Ok(()) => return Some((Kind::Regex, text.as_bytes().into())),
                Err(message) => desk.error("rule", message, ""),
            },
            _ => match prefix(text, self.http.merge_slashes) {
                Ok(rule) => {
                    warn_literal(desk, text);
                    return Some((Kind::Prefix, rule));
                }
                // As in GateKeeper, which takes any text.
                Err((message, help)) => desk.warn("rule", format!("this rule can never match: {message}"), help),
            },
        }
        None
    }

    /// The gateway's own answers come before every rule.
    fn warn_own(desk: &mut Desk<'_>, route: &Route) {
        if matches!(route.kind, Kind::Prefix | Kind::Exact) && matches!(&*route.rule, b"/ping" | b"/reload") {
            let message = format!("the gateway answers GET {} itself", desk.section.text("rule"));
            desk.warn("rule", message, "only other methods, and for a prefix paths below it, come to this service");
        }
    }

    fn warn_outside(&self, desk: &mut Desk<'_>, route: &Route) {
        let (top, beginning) = (&self.http.route_prefix, route.beginning());
        if !covers(top, &beginning) && (route.kind == Kind::Exact || !covers(&beginning, top)) {
            let (text, prefix) = (desk.section.text("rule"), String::from_utf8_lossy(top));
            let message = format!("this rule can never match: `{text}` is outside route_prefix `{prefix}`");
            desk.warn("rule", message, "change http.route_prefix in base.toml, or the rule");
        }
    }

    fn rewrite(&mut self, desk: &mut Desk<'_>, section: &'p Section, mode: &str) -> Rewrite {
        let text = section.raw("url_rewrite");
        if mode == "expression" {
            if text.is_empty() {
                return Rewrite::default();
            }
            return headers::composition(desk, "url_rewrite", Place::Target)
                .map_or(Rewrite::default(), Rewrite::composed);
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

/// A prefix is no pattern, and no rule sees a query.
fn warn_literal(desk: &mut Desk<'_>, text: &str) {
    let help = match text.find(['*', '(', '[', '{', '?', '^', '$', '#']).map(|at| text.as_bytes()[at]) {
        None => return,
        Some(b'?') => "a rule is about the path alone; conditions = \"query.NAME == value\" asks for more",
        Some(_) => "write type = \"url_pattern\" or \"url_regex\", if it is meant as one",
    };
    desk.warn("rule", format!("`{text}` is compared as it stands, letter by letter"), help);
}

/// The rewrite in its module's mode, and without the prefix where there is one to strip.
fn shaped(desk: &mut Desk<'_>, shape: &Section, rewrite: Rewrite, kind: &Kind, rule: &[u8]) -> Rewrite {
    if let Some(composition) = rewrite.composition() {
        let known = |name: &str| match kind {
            Kind::Pattern(pattern) => pattern.parameters().iter().any(|(known, _)| **known == *name),
            _ => *kind == Kind::Prefix && name == "*",
        };
        if let Some(name) = composition.params().find(|name| !known(name)) {
            let message = format!("this rule has no parameter `{name}`, so that is empty");
            desk.warn("url_rewrite", message, "a url_pattern names its parameters; a url_prefix has only `*`");
        }
        return rewrite;
    }
    let mode = if shape.text("mode") == "sequence" { Mode::Sequence } else { Mode::First };
    let strips = shape.flag("strip_prefix");
    if strips && *kind != Kind::Prefix {
        let message = "strip_prefix has no effect on this rule: only a url_prefix has a prefix".into();
        desk.warn("type", message, "write the rule as a url_prefix, or use url_rewrite");
    }
    rewrite.with(mode, if strips && *kind == Kind::Prefix { rule.len() } else { 0 })
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
