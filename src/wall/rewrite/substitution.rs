//! An item carried out by the regex engine, as Go's `ReplaceAllString` does it.

use std::sync::atomic::{AtomicU64, Ordering};

use regex_automata::Input;
use regex_automata::meta::{BuildError, Config, Regex};

use super::pattern;
use super::scratch::Caches;
use super::template::{Template, UnknownGroup};
use crate::limits::REWRITE_MATCHES_MAX;

/// A compiled pattern and template.
#[derive(Clone, Debug)]
pub(super) struct Substitution {
    /// Tells its caches from those of others; clones share it.
    pub(super) id: u64,
    pub(super) regex: Regex,
    template: Template,
}

impl Substitution {
    /// Compiles the two parts of an item; with it, the template's references to groups that the pattern does not
    /// have, which stay empty.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one line.
    pub(super) fn new(pattern: &str, template: &str) -> Result<(Self, Vec<UnknownGroup>), String> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let regex = compile(pattern)?;
        let (template, unknown) = Template::parse(template, |name| group_index(&regex, name));
        Ok((Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), regex, template }, unknown))
    }

    /// Writes `form` with every match replaced, up to `REWRITE_MATCHES_MAX` of them.
    pub(super) fn replace_all(&self, form: &[u8], result: &mut Vec<u8>, caches: &mut Caches) {
        let (cache, slots) = caches.of(self);
        result.clear();
        let (mut start, mut copied) = (0, 0);
        for _ in 0..REWRITE_MATCHES_MAX {
            if start > form.len() {
                break;
            }
            let input = Input::new(form).span(start..form.len());
            if self.regex.search_slots_with(cache, &input, slots).is_none() {
                break;
            }
            let span =
                |group: usize| Some(slots.get(2 * group)?.as_ref()?.get()..slots.get(2 * group + 1)?.as_ref()?.get());
            let Some(found) = span(0) else { break };
            result.extend_from_slice(&form[copied..found.start]);
            // An empty match right behind another match is none.
            if found.end > copied || found.start == 0 {
                self.template.expand(|group| span(group).map(|span| &form[span]), result);
            }
            copied = found.end;
            start = if found.end > start { found.end } else { start + char_bytes(form, start) };
        }
        result.extend_from_slice(&form[copied..]);
    }
}

/// Compiles a pattern. A full DFA needs a second, reversed automaton first and is then built for the smallest
/// patterns only. It pays where it finds that nothing in a path matches, not where an anchored pattern fails at
/// the first bytes. Said here, because another crate of the program may switch these engines on for all.
fn compile(pattern: &str) -> Result<Regex, String> {
    let config = Config::new().dfa(!pattern.starts_with('^')).hybrid(false);
    let built = Regex::builder().configure(config).build(&pattern::from_go(pattern));
    built.map_err(|error| pattern_fault(&error))
}

/// Length of the character that starts here; 1 at the end.
fn char_bytes(form: &[u8], start: usize) -> usize {
    let continued = form.iter().skip(start + 1).take_while(|&&byte| byte & 0b1100_0000 == 0b1000_0000);
    1 + continued.count()
}

/// Which group a template's name or number means. To Go a number with a leading zero is a name.
fn group_index(regex: &Regex, name: &str) -> Option<usize> {
    if name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit())) {
        return name.parse().ok().filter(|&index| index < regex.captures_len());
    }
    regex.group_info().all_names().find(|(_, _, group)| *group == Some(name)).map(|(_, index, _)| index)
}

/// The last line of the engine's report; the ones before show the pattern in its own syntax.
fn pattern_fault(error: &BuildError) -> String {
    let report = match error.syntax_error() {
        Some(syntax) => syntax.to_string(),
        None => error.to_string(),
    };
    let line = report.lines().last().unwrap_or_default();
    format!("bad pattern: {}", line.strip_prefix("error: ").unwrap_or(line))
}
