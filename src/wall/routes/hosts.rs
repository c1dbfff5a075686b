//! From the host of a request to the trees that hold the rules for it.
//!
//! One tree for each host that rules name, one for each wildcard, and one for the rules that name none. A lookup
//! probes one hash table for the name and at each of its dots, never deeper than wildcards go. Out of scope: the trees.

use hashbrown::HashMap;

use super::demands::Host;

/// Which tree is whose.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    names: HashMap<Box<[u8]>, u32>,
    tails: HashMap<Box<[u8]>, u32>,
}

impl Hosts {
    /// Whether any rule names a host.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.tails.is_empty()
    }

    /// The tree of this host of a rule; `fresh` makes it where there is none yet.
    pub(super) fn root(&mut self, host: &Host, fresh: impl FnOnce() -> u32) -> u32 {
        let (table, text) = match host {
            Host::Name(text) => (&mut self.names, text),
            Host::Below(text) => (&mut self.tails, text),
        };
        *table.entry_ref(text).or_insert_with(fresh)
    }

    /// The tree of this host of a rule, if it has one.
    pub(super) fn root_of(&self, host: &Host) -> Option<u32> {
        let (table, text) = match host {
            Host::Name(text) => (&self.names, text),
            Host::Below(text) => (&self.tails, text),
        };
        table.get(text).copied()
    }

    /// The trees for a normalised host, the nearest first.
    pub(super) fn roots<'h>(&'h self, host: &'h [u8]) -> impl Iterator<Item = u32> + 'h {
        let dots = if self.tails.is_empty() { &[] } else { host };
        // A wildcard's own name is not below it: a dot at the start ends no label.
        let tails = memchr::memchr_iter(b'.', dots).filter(|at| *at > 0).filter_map(|at| self.tails.get(&host[at..]));
        self.names.get(host).into_iter().chain(tails).copied()
    }
}

/// The host of an authority: lower case, without its port and a dot at its end.
pub(super) fn name<'o>(authority: &[u8], out: &'o mut Vec<u8>) -> &'o [u8] {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = match &authority[..authority.len() - digits] {
        [host @ .., b':'] => host,
        _ => authority,
    };
    out.clear();
    out.extend(host.strip_suffix(b".").unwrap_or(host).iter().map(u8::to_ascii_lowercase));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(authority: &str) -> String {
        String::from_utf8_lossy(name(authority.as_bytes(), &mut Vec::new())).into_owned()
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_last_dot() {
        assert_eq!(normal("API.Example.com:8080"), "api.example.com");
        assert_eq!(normal("example.com."), "example.com");
        assert_eq!(normal("example.com.:80"), "example.com");
        assert_eq!(normal("[::1]:80"), "[::1]");
        assert_eq!(normal("[::1]"), "[::1]");
        assert_eq!(normal("10.0.0.1"), "10.0.0.1");
        assert_eq!(normal(""), "");
    }

    #[test]
    fn a_host_has_its_own_tree_and_those_of_the_wildcards_above_it() {
        let mut hosts = Hosts::default();
        for (host, number) in [
            (Host::Name((*b"a.example.com").into()), 1),
            (Host::Below((*b".example.com").into()), 2),
            (Host::Below((*b".com").into()), 3),
        ] {
            assert_eq!(hosts.root(&host, || number), number);
            assert_eq!(hosts.root(&host, || 99), number);
        }
        let roots = |host: &str| hosts.roots(host.as_bytes()).collect::<Vec<_>>();
        assert_eq!(roots("a.example.com"), [1, 2, 3]);
        assert_eq!(roots("b.a.example.com"), [2, 3]);
        assert_eq!(roots("example.com"), [3]);
        assert!(roots("example.org").is_empty());
        assert_eq!(roots(".example.com"), [3]);
    }
}
