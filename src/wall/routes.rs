//! The index from a path to the service that answers it.
//!
//! The first rule in file order that equals the path, or is a prefix of it by whole segments, wins.
//! A rule below an earlier one can never win, so it is left out of the index; of those that stay, a
//! longer match is always the earlier in the file, and the longest hit is the answer. A lookup probes one hash
//! table at segment boundaries, and only at lengths some rule has, so neither the number of rules nor a path
//! of nothing but slashes makes it dear. Out of scope: normalising the path, what the service then does.

use hashbrown::HashMap;

use super::rewrite::Rewrite;
use crate::ids::ServiceId;

/// One `[[module.match_rule]]` of an http service.
#[derive(Debug)]
pub struct Route {
    /// Whose rule.
    pub service: ServiceId,
    /// The canonical prefix, without a trailing slash; empty matches every path.
    pub rule: Box<[u8]>,
    /// What becomes of the path.
    pub rewrite: Rewrite,
}

/// The rules of every http service, in file order, indexed.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Box<[Route]>,
    index: Index,
}

impl Routes {
    /// Indexes the rules, given in file order.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        let mut index = Index::default();
        for (position, route) in routes.iter().enumerate() {
            index.insert(&route.rule, position);
        }
        Self { routes: routes.into(), index }
    }

    /// The first rule in file order that equals the path or is a whole-segment prefix of it.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Route> {
        self.position(path).map(|position| &self.routes[position])
    }

    /// Where in [`Routes::all`] the answer of [`Routes::find`] stands. For a rule's own text it is
    /// another, earlier rule when that one shadows it.
    #[must_use]
    pub fn position(&self, path: &[u8]) -> Option<usize> {
        self.index.find(path)
    }

    /// Every rule in file order.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.routes
    }
}

/// Whether the rule equals the path or is a prefix of it that ends at a segment's end. The empty
/// rule covers every path.
#[must_use]
pub fn covers(rule: &[u8], path: &[u8]) -> bool {
    rule.is_empty() || path.strip_prefix(rule).is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b'/'))
}

/// Rules no earlier rule covers, by their text.
#[derive(Debug, Default)]
struct Index {
    positions: HashMap<Box<[u8]>, usize>,
    /// The empty rule's position.
    everything: Option<usize>,
    /// Bit n: some rule is n bytes long.
    lengths: Vec<u64>,
    /// Bytes of the longest rule.
    longest: usize,
    /// Slashes in the rule that has most.
    deepest: usize,
}

impl Index {
    fn insert(&mut self, rule: &[u8], position: usize) {
        if self.find(rule).is_some() {
            return;
        }
        if rule.is_empty() {
            self.everything = Some(position);
            return;
        }
        self.longest = self.longest.max(rule.len());
        self.deepest = self.deepest.max(memchr::memchr_iter(b'/', rule).count());
        self.lengths.resize(self.longest / 64 + 1, 0);
        self.lengths[rule.len() / 64] |= 1 << (rule.len() % 64);
        self.positions.insert(rule.into(), position);
    }

    /// The longest indexed rule that covers the path.
    fn find(&self, path: &[u8]) -> Option<usize> {
        let within = &path[..path.len().min(self.longest + 1)];
        if path.len() <= self.longest
            && let Some(position) = self.exactly(path)
        {
            return Some(position);
        }
        let ends = memchr::memchr_iter(b'/', within).take(self.deepest + 1);
        ends.fold(self.everything, |hit, end| self.exactly(&path[..end]).or(hit))
    }

    /// The rule with this text; at most `longest` bytes may be asked for.
    fn exactly(&self, rule: &[u8]) -> Option<usize> {
        if self.lengths.get(rule.len() / 64)? >> (rule.len() % 64) & 1 == 0 {
            return None;
        }
        self.positions.get(rule).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(rules: &[impl AsRef<[u8]>]) -> Routes {
        let route = |(n, rule): (usize, &_)| Route {
            service: ServiceId(n as u32),
            rule: AsRef::<[u8]>::as_ref(rule).into(),
            rewrite: Rewrite::default(),
        };
        Routes::new(rules.iter().enumerate().map(|(n, rule)| route((n, rule))).collect())
    }

    fn scan(routes: &Routes, path: &[u8]) -> Option<usize> {
        routes.all().iter().position(|route| covers(&route.rule, path))
    }

    #[test]
    fn a_rule_matches_itself_and_what_lies_below_it_only() {
        let routes = routes(&["/gatekeeper/test_http"]);
        assert_eq!(routes.position(b"/gatekeeper/test_http"), Some(0));
        assert_eq!(routes.position(b"/gatekeeper/test_http/"), Some(0));
        assert_eq!(routes.position(b"/gatekeeper/test_http/a/b"), Some(0));
        assert_eq!(routes.position(b"/gatekeeper/test_http2"), None);
        assert_eq!(routes.position(b"/gatekeeper"), None);
        assert_eq!(routes.position(b"/"), None);
    }

    #[test]
    fn file_order_decides_not_length() {
        assert_eq!(routes(&["/a", "/a/b"]).position(b"/a/b/c"), Some(0));
        assert_eq!(routes(&["/a/b", "/a"]).position(b"/a/b/c"), Some(0));
        assert_eq!(routes(&["/a/b", "/a"]).position(b"/a/c"), Some(1));
    }

    #[test]
    fn the_first_of_two_equal_rules_wins() {
        assert_eq!(routes(&["/x", "/a", "/a"]).position(b"/a"), Some(1));
    }

    #[test]
    fn the_empty_rule_takes_what_no_earlier_rule_takes() {
        let routes = routes(&["/a", "", "/b"]);
        assert_eq!(routes.position(b"/a/1"), Some(0));
        assert_eq!(routes.position(b"/b"), Some(1));
        assert_eq!(routes.position(b"*"), Some(1));
    }

    #[test]
    fn a_shadowed_rule_is_found_by_looking_up_its_own_text() {
        let routes = routes(&["/a", "/a/b"]);
        assert_eq!(routes.position(&routes.all()[1].rule), Some(0));
    }

    #[test]
    fn no_rules_no_route() {
        assert!(Routes::new(Vec::new()).find(b"/").is_none());
    }

    #[test]
    fn slashes_are_probed_no_deeper_than_rules_go() {
        let routes = routes(&["/a/b", "/c"]);
        let boundaries = memchr::memchr_iter(b'/', &[b'/'; 8192]).take(routes.index.deepest + 1).count();
        assert_eq!(boundaries, 3);
        assert_eq!(routes.position(&[b'/'; 8192]), None);
    }

    #[test]
    fn five_thousand_rules_all_find_their_own() {
        let rules: Vec<_> = (0..5_000).map(|n| format!("/gatekeeper/service_{n}")).collect();
        let routes = routes(&rules);
        for (n, rule) in rules.iter().enumerate() {
            assert_eq!(routes.position(format!("{rule}/x/y").as_bytes()), Some(n));
        }
    }

    proptest! {
        #[test]
        fn the_index_answers_as_the_scan(
            rules in prop::collection::vec("(/[ab]{0,2}){0,4}", 0..12),
            paths in prop::collection::vec("(/[ab]{0,2}){0,6}|[ab/]{0,9}", 1..24),
        ) {
            let routes = routes(&rules);
            for path in &paths {
                prop_assert_eq!(routes.position(path.as_bytes()), scan(&routes, path.as_bytes()), "{:?}", path);
            }
        }
    }
}
