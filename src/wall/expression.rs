//! A regular expression that asks one thing of a short text: does it match anywhere?
//!
//! Compiled at load to a complete automaton, so that asking takes one step per byte, no memory of its own and no
//! choice of engine. What grows too large for that is refused. Written in Go's RE2 syntax, as everywhere in
//! the files. Out of scope: where it matched, and groups (`rewrite`).

use regex_automata::Input;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::syntax;

use super::rewrite::from_go;
use crate::limits::EXPRESSION_DFA_BYTES_MAX;

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    text: Box<str>,
    dfa: Box<dense::DFA<Vec<u32>>>,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pattern = from_go(text);
        syntax::parse(&pattern).map_err(|error| fault(&error.to_string()))?;
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(EXPRESSION_DFA_BYTES_MAX))
            .determinize_size_limit(Some(4 * EXPRESSION_DFA_BYTES_MAX));
        let built = dense::Builder::new().configure(config).build(&pattern);
        let dfa = built.map_err(|error| format!("the expression cannot be used: {error}"))?;
        Ok(Self { text: text.into(), dfa: Box::new(dfa) })
    }

    /// Whether it matches somewhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        // It has no byte at which it gives up, so there is no error.
        let found = self.dfa.try_search_fwd(&Input::new(text).earliest(true));
        found.is_ok_and(|end| end.is_some())
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Expression({})", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

/// The last line of the engine's report; the ones before show the pattern in its own syntax.
pub(super) fn fault(report: &str) -> String {
    let line = report.lines().last().unwrap_or_default();
    format!("bad expression: {}", line.strip_prefix("error: ").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: &str, text: &[u8]) -> bool {
        Expression::parse(expression).expect("compiles").is_match(text)
    }

    #[test]
    fn it_matches_anywhere_unless_it_says_where() {
        assert!(matches("b+", b"abba"));
        assert!(matches("^curl/8", b"curl/8.1"));
        assert!(!matches("^b", b"abba"));
        assert!(!matches("b$", b"abba"));
        assert!(matches("^$", b""));
        assert!(matches(r"^\d{2,3}$", b"123"));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_no_trouble() {
        assert!(matches("b", b"\xff\xfeb"));
        assert!(!matches("^.$", b"\xff"));
    }

    #[test]
    fn what_is_wrong_or_too_large_is_said() {
        assert!(Expression::parse("a(").expect_err("open").starts_with("bad expression"));
        assert!(Expression::parse("(?=a)").is_err());
        assert!(Expression::parse("(a|b)*a(a|b){30}").is_err());
    }
}
