//! All rules that are regular expressions, as one set: a path is read once, however many there are.
//!
//! The set is one automaton whose states a worker works out as paths ask for them, in memory of its own that is
//! bounded; time is linear in the path. Where every expression begins with `^`, a path that none of them can begin
//! with is left after a byte or two. Out of scope: what else a rule demands.

use std::sync::atomic::{AtomicU64, Ordering};

use regex_automata::hybrid::dfa::{Builder, Cache, DFA, OverlappingState};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use super::tree::NONE;
use crate::limits::{ROUTE_REGEX_BYTES_MAX, ROUTE_REGEXES_BYTES_MAX, ROUTE_STATES_BYTES_MAX};
use crate::wall::expression::fault;
use crate::wall::rewrite::from_go;

/// The set.
pub(super) struct Expressions {
    /// Tells its states from those of another set.
    id: u64,
    dfa: Box<DFA>,
    /// Of each expression, its rule.
    ranks: Box<[u32]>,
}

/// The states that a worker knows, and of which set.
#[derive(Debug, Default)]
pub(super) struct States {
    known: Option<(u64, Box<Cache>)>,
    /// A bit for each expression that has been judged for the path in hand.
    judged: Vec<u64>,
}

impl Expressions {
    /// The set of these expressions, each with its rule, in the order in which rules are tried.
    ///
    /// # Errors
    /// Together they are too large.
    pub(super) fn new(expressions: &[(&str, u32)]) -> Result<Self, String> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let patterns: Vec<_> = expressions.iter().map(|(text, _)| from_go(text)).collect();
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(ROUTE_STATES_BYTES_MAX)
            .skip_cache_capacity_check(true);
        let thompson = thompson::Config::new().nfa_size_limit(Some(ROUTE_REGEXES_BYTES_MAX));
        let built = Builder::new().configure(config).thompson(thompson).build_many(&patterns);
        let dfa = built.map_err(|error| format!("the expressions of all rules together: {error}"))?;
        let ranks = expressions.iter().map(|(_, rank)| *rank).collect();
        Ok(Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), dfa: Box::new(dfa), ranks })
    }

    /// The earliest of its rules.
    pub(super) fn least(&self) -> u32 {
        self.ranks.first().copied().unwrap_or(NONE)
    }

    /// The earliest rule whose expression matches and that `admits`, if it is earlier than `best`; else `best`.
    pub(super) fn find(
        &self,
        form: &[u8],
        mut best: u32,
        states: &mut States,
        mut admits: impl FnMut(u32) -> bool,
    ) -> u32 {
        let States { known, judged } = states;
        if known.as_ref().is_none_or(|(id, _)| *id != self.id) {
            *known = Some((self.id, Box::new(self.dfa.create_cache())));
        }
        let Some((_, cache)) = known else { return best };
        judged.clear();
        judged.resize(self.ranks.len().div_ceil(64), 0);
        let (input, mut state) = (Input::new(form), OverlappingState::start());
        // An automaton that may forget its states never gives up, and no byte of it is one to give up at.
        while self.dfa.try_search_overlapping_fwd(cache, &input, &mut state).is_ok()
            && let Some(found) = state.get_match()
        {
            let expression = found.pattern().as_usize();
            // One that matches at every byte is asked once what else it demands.
            let (word, bit) = (&mut judged[expression / 64], 1 << (expression % 64));
            if std::mem::replace(word, *word | bit) & bit != 0 {
                continue;
            }
            let rank = self.ranks[expression];
            if rank < best && admits(rank) {
                best = rank;
                if best == self.least() {
                    break;
                }
            }
        }
        best
    }
}

/// Whether an expression can be a rule.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn check(text: &str) -> Result<(), String> {
    let pattern = from_go(text);
    syntax::parse(&pattern).map_err(|error| fault(&error.to_string()))?;
    let config = thompson::Config::new().nfa_size_limit(Some(ROUTE_REGEX_BYTES_MAX));
    let built = thompson::Compiler::new().configure(config).build(&pattern);
    built.map(drop).map_err(|error| format!("the expression cannot be used: {error}"))
}

impl std::fmt::Debug for Expressions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Expressions({} rules)", self.ranks.len())
    }
}
