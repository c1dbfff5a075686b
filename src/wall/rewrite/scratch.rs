//! What a worker needs to rewrite without allocating: buffers, and the engine's memory for each regex.
//!
//! One per worker, written and read by it alone.

use hashbrown::HashMap;
use regex_automata::meta::Cache;
use regex_automata::util::primitives::NonMaxUsize;

use super::substitution::Substitution;
use crate::limits::REWRITE_CACHES_MAX;

/// Memory for rewriting that lasts from one request to the next.
#[derive(Debug, Default)]
pub struct RewriteScratch {
    /// The path with its escapes decoded.
    pub(super) form: Vec<u8>,
    /// The form with its matches replaced.
    pub(super) result: Vec<u8>,
    /// The result, encoded.
    pub(super) wire: Vec<u8>,
    pub(super) caches: Caches,
}

/// The engine's memory for the regexes used last. A regex that was dropped with its epoch is used no more, so its
/// memory is the next to go.
#[derive(Debug, Default)]
pub(super) struct Caches {
    by_id: HashMap<u64, Used>,
    uses: u64,
}

#[derive(Debug)]
struct Used {
    cache: Cache,
    slots: Box<[Option<NonMaxUsize>]>,
    last: u64,
}

impl Caches {
    /// Memory for a search, and slots for the groups of its match.
    pub(super) fn of(&mut self, substitution: &Substitution) -> (&mut Cache, &mut [Option<NonMaxUsize>]) {
        self.uses += 1;
        if self.by_id.len() >= REWRITE_CACHES_MAX && !self.by_id.contains_key(&substitution.id) {
            self.drop_least_recent();
        }
        let used = self.by_id.entry(substitution.id).or_insert_with(|| Used {
            cache: substitution.regex.create_cache(),
            slots: vec![None; 2 * substitution.regex.captures_len()].into(),
            last: 0,
        });
        used.last = self.uses;
        (&mut used.cache, &mut used.slots)
    }

    fn drop_least_recent(&mut self) {
        if let Some((&id, _)) = self.by_id.iter().min_by_key(|(_, used)| used.last) {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_for_regexes_is_bounded_and_the_least_recent_goes_first() {
        let regexes: Vec<_> =
            (0..=REWRITE_CACHES_MAX).map(|_| Substitution::new("a", "b").expect("compiles").0).collect();
        let mut caches = Caches::default();
        for regex in &regexes[..REWRITE_CACHES_MAX] {
            caches.of(regex);
        }
        caches.of(&regexes[0]);
        caches.of(&regexes[REWRITE_CACHES_MAX]);
        assert_eq!(caches.by_id.len(), REWRITE_CACHES_MAX);
        assert!(caches.by_id.contains_key(&regexes[0].id));
        assert!(!caches.by_id.contains_key(&regexes[1].id));
    }
}
