//! The index from a request to the rule that answers it.
//!
//! Rules have an order in which they are tried, and the first that takes a request wins: [`Route::takes`] says what
//! that means for one rule, [`Routes::find`] gives the answer of trying all, at a cost that does not grow with
//! their number. Paths are looked up in a tree (`tree`), hosts choose among several trees (`hosts`), regular
//! expressions are one set (`expressions`). Out of scope: normalising the path, putting rules in their order, what
//! the service then does.

mod demands;
mod expressions;
mod hosts;
mod pattern;
mod tree;

pub use demands::{Demands, Host, Methods};
pub use expressions::check;
use expressions::{Expressions, States};
use hosts::Hosts;
pub use pattern::{Parameter, Pattern, Segment};
use tree::{Ends, Entry, NONE, Tree};

use super::attribute::Parts;
use super::rewrite::{Rewrite, match_form};
use crate::ids::ServiceId;
use crate::proto::head::{self, Method, RequestHead};

/// One `[[module.match_rule]]` of an http service.
#[derive(Clone, Debug)]
pub struct Route {
    /// Whose rule.
    pub service: ServiceId,
    /// How the path is compared.
    pub kind: Kind,
    /// The canonical prefix, without a trailing slash (empty matches every path), or the canonical path; of a pattern or
    /// an expression its text.
    pub rule: Box<[u8]>,
    /// What else is demanded.
    pub demands: Demands,
    /// Rules with a higher one are tried first.
    pub priority: i32,
    /// Its place among the rules of the file, from 1.
    pub number: usize,
    /// What becomes of the path.
    pub rewrite: Rewrite,
}

/// How a rule compares paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `url_prefix`: the path or one below it, by whole segments.
    Prefix,
    /// `url_exact`: this path.
    Exact,
    /// `url_pattern`.
    Pattern(Pattern),
    /// `url_regex`: found in the path's match form.
    Regex,
}

/// A request, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its canonical path.
    pub path: &'a [u8],
    /// The authority it asks for.
    pub host: &'a [u8],
    /// Its method.
    pub method: &'a [u8],
    /// Where conditions look.
    pub parts: Parts<'a>,
    methods: u16,
}

impl<'a> Asked<'a> {
    /// The request of this head for this canonical path.
    #[must_use]
    pub fn of(path: &'a [u8], head: &RequestHead<'a>) -> Self {
        let mut methods = demands::bit(head.method);
        if head.method == Method::Options {
            // A preflight (Fetch section 4.8) asks on behalf of the request to come, and goes where that will.
            let coming = head::field(head.fields, "access-control-request-method");
            methods |= coming.map_or(0, |method| demands::bit(Method::of(method)));
        }
        Self { path, host: head.host, method: head.method_text, parts: Parts::of(head), methods }
    }

    /// A request of this method that says nothing else.
    #[must_use]
    pub fn new(method: &'a [u8], host: &'a [u8], path: &'a [u8]) -> Self {
        Self { path, host, method, parts: Parts::default(), methods: demands::bit(Method::of(method)) }
    }

    /// A `GET` of this path without a host.
    #[must_use]
    pub fn get(path: &'a [u8]) -> Self {
        Self::new(b"GET", b"", path)
    }
}

/// Memory for lookups that lasts from one request to the next; one per worker.
#[derive(Debug, Default)]
pub struct RouteScratch {
    host: Vec<u8>,
    form: Vec<u8>,
    /// A decoded value of an attribute.
    pub value: Vec<u8>,
    states: States,
}

impl Route {
    /// What its path begins with, as a canonical prefix; empty where that is nothing certain.
    #[must_use]
    pub fn beginning(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Prefix | Kind::Exact => self.rule.to_vec(),
            Kind::Pattern(pattern) => pattern.beginning(),
            Kind::Regex => Vec::new(),
        }
    }

    /// Whether its path is the request's.
    #[must_use]
    pub fn takes_path(&self, path: &[u8]) -> bool {
        match &self.kind {
            Kind::Prefix => covers(&self.rule, path),
            Kind::Exact => *self.rule == *path,
            Kind::Pattern(pattern) => pattern.takes(path),
            Kind::Regex => self.alone().is_some_and(|set| {
                let form = &mut Vec::new();
                set.find(match_form(path, form), NONE, &mut States::default(), |_| true) != NONE
            }),
        }
    }

    /// Whether its host is the request's.
    #[must_use]
    pub fn takes_host(&self, asked: &Asked<'_>) -> bool {
        self.demands.has_host(hosts::name(asked.host, &mut Vec::new()))
    }

    /// Whether its method is the request's, or that of the request to come.
    #[must_use]
    pub fn takes_method(&self, asked: &Asked<'_>) -> bool {
        self.demands.methods.bits & asked.methods != 0 && self.demands.methods.names(asked.method)
    }

    /// Whether it takes the request: the slow way, which needs nothing but the rule.
    #[must_use]
    pub fn takes(&self, asked: &Asked<'_>) -> bool {
        let held = |condition: &super::condition::Condition| condition.holds(&asked.parts, &mut Vec::new());
        self.takes_path(asked.path)
            && self.takes_host(asked)
            && self.takes_method(asked)
            && self.demands.conditions.iter().all(held)
    }

    fn alone(&self) -> Option<Expressions> {
        Expressions::new(&[(self.expression(), 0)]).ok()
    }

    fn expression(&self) -> &str {
        str::from_utf8(&self.rule).unwrap_or_default()
    }

    /// The segments that lead to its node, and how it ends there.
    fn segments(&self) -> (Vec<Segment>, Ends) {
        let constants = || self.rule.split(|&byte| byte == b'/').skip(1).map(|text| Segment::Constant(text.into()));
        match &self.kind {
            Kind::Prefix => (constants().collect(), Ends::Prefix),
            Kind::Exact => (constants().collect(), Ends::Exact),
            Kind::Pattern(pattern) => {
                let ends = if pattern.segments().last() == Some(&Segment::Rest) { Ends::Rest } else { Ends::Pattern };
                (pattern.segments().to_vec(), ends)
            }
            Kind::Regex => (Vec::new(), Ends::Prefix),
        }
    }
}

/// As people read it: a prefix as it is, a whole path after `=`, an expression after `~`.
impl std::fmt::Display for Route {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.rule);
        match &self.kind {
            Kind::Prefix if text.is_empty() => out.write_str("(every path)"),
            Kind::Prefix | Kind::Pattern(_) => out.write_str(&text),
            Kind::Exact => write!(out, "= {text}"),
            Kind::Regex => write!(out, "~ {text}"),
        }
    }
}

/// The rules of every http service, in the order in which they are tried, indexed.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Box<[Route]>,
    tree: Tree,
    hosts: Hosts,
    /// The tree of rules that name no host.
    anywhere: Option<u32>,
    expressions: Option<Expressions>,
}

impl Routes {
    /// Indexes the rules, given in the order in which they are tried.
    ///
    /// # Errors
    /// Those that are expressions are too large together.
    pub fn build(routes: Vec<Route>) -> Result<Self, String> {
        let mut all = Self { routes: routes.into(), ..Self::default() };
        let mut expressions = Vec::new();
        for (route, rank) in all.routes.iter().zip(0..NONE) {
            if route.kind == Kind::Regex {
                expressions.push((route.expression(), rank));
                continue;
            }
            let (segments, ends) = route.segments();
            let Demands { hosts, methods, .. } = &route.demands;
            let entry = Entry { rank, methods: methods.bits, ends, guarded: route.demands.is_guarded() };
            let tree = &mut all.tree;
            for host in hosts {
                let root = all.hosts.root(host, || tree.root());
                tree.insert(root, &segments, entry);
            }
            if hosts.is_empty() {
                let root = *all.anywhere.get_or_insert_with(|| tree.root());
                tree.insert(root, &segments, entry);
            }
        }
        all.expressions = if expressions.is_empty() { None } else { Some(Expressions::new(&expressions)?) };
        Ok(all)
    }

    /// The first rule that takes the request.
    #[must_use]
    pub fn find(&self, asked: &Asked<'_>, scratch: &mut RouteScratch) -> Option<&Route> {
        self.position(asked, scratch).map(|position| &self.routes[position])
    }

    /// Where in [`Routes::all`] the answer of [`Routes::find`] stands.
    #[must_use]
    pub fn position(&self, asked: &Asked<'_>, scratch: &mut RouteScratch) -> Option<usize> {
        let RouteScratch { host, form, value, states } = scratch;
        let mut admits = |entry: &Entry| {
            entry.methods & asked.methods != 0
                && (!entry.guarded || self.routes[entry.rank as usize].demands.lets(asked.method, &asked.parts, value))
        };
        let mut best = NONE;
        let mut name: &[u8] = b"";
        if !self.hosts.is_empty() || self.expressions.is_some() {
            name = hosts::name(asked.host, host);
            for root in self.hosts.roots(name) {
                best = self.tree.find(root, asked.path, best, &mut admits);
            }
        }
        if let Some(root) = self.anywhere {
            best = self.tree.find(root, asked.path, best, &mut admits);
        }
        if let Some(expressions) = self.expressions.as_ref().filter(|expressions| expressions.least() < best) {
            best = expressions.find(match_form(asked.path, form), best, states, |rank| {
                let demands = &self.routes[rank as usize].demands;
                demands.methods.bits & asked.methods != 0
                    && demands.has_host(name)
                    && demands.lets(asked.method, &asked.parts, value)
            });
        }
        (best != NONE).then_some(best as usize)
    }

    /// Every rule in the order in which they are tried.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// An earlier rule that takes every request that this one could, as far as their texts tell.
    #[must_use]
    pub fn shadow(&self, position: usize) -> Option<usize> {
        let route = &self.routes[position];
        let same_path = route.kind == Kind::Exact;
        let wider = |entry: &Entry| {
            (entry.ends == Ends::Prefix || same_path)
                && self.routes[entry.rank as usize].demands.is_wider(&route.demands)
        };
        let of_host = route.demands.hosts.first().and_then(|host| self.hosts.root_of(host));
        let (beginning, own) = (route.beginning(), u32::try_from(position).unwrap_or(NONE));
        let roots = of_host.into_iter().chain(self.anywhere);
        let best = roots.fold(own, |best, root| self.tree.find(root, &beginning, best, wider));
        (best != own).then_some(best as usize)
    }
}

/// Whether the rule equals the path or is a prefix of it that ends at a segment's end. The empty
/// rule covers every path.
#[must_use]
pub fn covers(rule: &[u8], path: &[u8]) -> bool {
    rule.is_empty() || path.strip_prefix(rule).is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b'/'))
}

#[cfg(test)]
mod tests;
