//! `url_rewrite`: GateKeeper's rewrite language, compiled once at load.
//!
//! The text is a comma list of items; an item is a regular expression (Go's RE2), one space and a template
//! (`$1`, `${1}`, `${name}`, `$$`). Each item replaces all its matches in the *original* path; the first whose
//! result differs from it wins; if none does, the path stays byte for byte. Neither a comma nor a space can stand
//! in an item, and no escape exists. An item of another shape is ignored and a group that the pattern does not
//! have is empty: GateKeeper does so in silence, here a warning says it.
//!
//! The expression sees the path's *match form*: percent-escapes decoded where decoding loses nothing
//! (`rewrite::form`), so a pattern may be written in any script. What leaves is encoded again, starts with
//! `/` and has no dot segment: `^/a(.*) $1` makes `/b` of `/a../b`, never `/../b`.
//!
//! That is the mode `first`. In the mode `sequence` each item sees what the ones before it have made. In the mode
//! `expression` the text is a [`Composition`] that takes the place of path and query. Before either, a rule may lose
//! its prefix (`strip`).
//!
//! An item `^/literal(.*) /other$1`, nearly all there are, takes no regex engine; the engine's time is linear in
//! the path for each match, and matches are bounded. Out of scope: picking the rule (`routes`), the query, which
//! no item sees.

mod form;
mod item;
mod pattern;
mod scratch;
mod substitution;
mod template;

pub(super) use form::decoded as match_form;
use item::{Item, Outcome, Remark, split};
pub(super) use pattern::from_go;
pub use scratch::RewriteScratch;

use super::composition::Composition;

/// The compiled `url_rewrite` of one rule.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    items: Box<[Item]>,
    mode: Mode,
    /// So many bytes are taken off the front of each path first.
    strip: usize,
    composition: Option<Box<Composition>>,
}

/// What items see, and which of them count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each sees the original path, and the first that changes it wins.
    #[default]
    First,
    /// Each sees what the ones before it have made.
    Sequence,
}

/// What is to be said of an item of a `url_rewrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteFault {
    /// What GateKeeper takes in silence is a warning: the rewrite does the same and may be used.
    pub warning: bool,
    /// Where in the whole text the fault lies, in bytes.
    pub offset: usize,
    /// The item as written.
    pub item: String,
    /// What is wrong, in one line.
    pub message: String,
}

/// A path after its rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten<'a> {
    /// Origin-form path, canonical as the one that came.
    pub path: &'a [u8],
    /// Which item made it, counted as in [`Rewrite::items`]; `None`: no item changed the path.
    pub item: Option<usize>,
}

impl Rewrite {
    /// Compiles the text. The empty text, like an empty item (a comma too many), rewrites nothing.
    ///
    /// An item that is not exactly a pattern, one space and a template is left out, and a group that the
    /// pattern does not have is empty, each with a warning. A pattern that does not compile is an error: its item
    /// is left out so that the others can be judged, and the rewrite is not what was meant.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<RewriteFault>) {
        let (mut items, mut faults) = (Vec::new(), Vec::new());
        for (offset, item) in split(text) {
            let mut remarks = Vec::new();
            items.extend(Item::parse(item, &mut remarks));
            faults.extend(remarks.into_iter().map(|Remark { warning, at, message }| RewriteFault {
                warning,
                offset: offset + at,
                item: item.to_owned(),
                message,
            }));
        }
        (Self { items: items.into(), ..Self::default() }, faults)
    }

    /// The same, where items count so and this many bytes of each path are taken off first.
    #[must_use]
    pub fn with(self, mode: Mode, strip: usize) -> Self {
        Self { mode, strip, ..self }
    }

    /// A target that is composed.
    #[must_use]
    pub fn composed(composition: Composition) -> Self {
        Self { composition: Some(Box::new(composition)), ..Self::default() }
    }

    /// What composes the target; it takes the place of path and query.
    #[must_use]
    pub fn composition(&self) -> Option<&Composition> {
        self.composition.as_deref()
    }

    /// Whether every path stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.strip == 0
    }

    /// Whether a prefix is taken off first.
    #[must_use]
    pub fn strips(&self) -> bool {
        self.strip > 0
    }

    /// Pattern and template of every item, as written.
    pub fn items(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items.iter().map(|item| (item.pattern(), item.template()))
    }

    /// The path to send for this canonical path.
    #[must_use]
    pub fn apply<'a>(&self, path: &'a [u8], scratch: &'a mut RewriteScratch) -> &'a [u8] {
        self.apply_named(path, scratch).path
    }

    /// As [`Rewrite::apply`], and which item made it.
    #[must_use]
    pub fn apply_named<'a>(&self, path: &'a [u8], scratch: &'a mut RewriteScratch) -> Rewritten<'a> {
        if self.is_empty() {
            return Rewritten { path, item: None };
        }
        let path = if self.strip > 0 { self.stripped(path) } else { path };
        if self.mode == Mode::Sequence {
            return self.in_sequence(path, scratch);
        }
        let RewriteScratch { form, result, wire, caches } = scratch;
        let form = form::decoded(path, form);
        for (n, item) in self.items.iter().enumerate() {
            let made = match item.replace_all(form, result, caches) {
                Outcome::Same => continue,
                Outcome::Tail(start) => &form[start..],
                Outcome::Made => result,
            };
            return Rewritten { path: form::encoded(made, wire), item: Some(n) };
        }
        Rewritten { path, item: None }
    }

    /// The rest behind the rule's prefix.
    fn stripped<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        match path.get(self.strip..) {
            Some([]) => b"/",
            Some(rest) => rest,
            None => path,
        }
    }

    /// Every item, one after another; the last that changed something is named.
    fn in_sequence<'a>(&self, path: &'a [u8], scratch: &'a mut RewriteScratch) -> Rewritten<'a> {
        let RewriteScratch { form, result, wire, caches } = scratch;
        let mut current = std::mem::take(form);
        let decoded = form::decoded(path, &mut current);
        if std::ptr::eq(decoded, path) {
            current.clear();
            current.extend_from_slice(path);
        }
        let mut last = None;
        for (n, item) in self.items.iter().enumerate() {
            match item.replace_all(&current, result, caches) {
                Outcome::Same => continue,
                Outcome::Tail(start) => drop(current.drain(..start)),
                Outcome::Made => std::mem::swap(&mut current, result),
            }
            last = Some(n);
        }
        *form = current;
        Rewritten { path: if last.is_some() { form::encoded(form, wire) } else { path }, item: last }
    }
}

#[cfg(test)]
mod tests;
