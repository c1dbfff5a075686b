//! One item of a `url_rewrite`: its pattern, its template and which of two ways carries it out.
//!
//! In scope: the shape of an item and the way without an engine. Out of scope: the way with one
//! (`substitution`).

use super::form;
use super::scratch::Caches;
use super::substitution::Substitution;

/// A fault: its offset in the item, and what is wrong.
pub(super) type Fault = (usize, String);

/// A compiled item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pattern: Box<str>,
    template: Box<str>,
    program: Program,
}

/// Two ways to do the same, the first for what needs no engine.
#[derive(Clone, Debug)]
enum Program {
    Prefix(Prefix),
    Regex(Box<Substitution>),
}

/// `^strip(.*) put$1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    strip: Box<[u8]>,
    put: Box<[u8]>,
}

/// What an item made of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The same path.
    Same,
    /// What the path has from here on.
    Tail(usize),
    /// What stands in the result now.
    Made,
}

/// The items of a text with their offsets; empty ones are none.
pub(super) fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let with_offset = |next: &mut usize, item| {
        let offset = *next;
        *next += str::len(item) + 1;
        Some((offset, item))
    };
    text.split(',').scan(0, with_offset).filter(|(_, item)| !item.is_empty())
}

/// Pattern and template of an item.
fn parts(item: &str) -> Result<(&str, &str), Fault> {
    let wrong = |offset, what: &str| (offset, format!("{what}; an item is a pattern, one space and a template"));
    match item.split_once(' ') {
        None => Err(wrong(0, "no space, so no template")),
        Some(("", _)) => Err(wrong(0, "a space before the pattern")),
        Some((pattern, template)) => match template.find(' ') {
            None => Ok((pattern, template)),
            Some(at) => Err(wrong(pattern.len() + 1 + at, "more than one space")),
        },
    }
}

impl Item {
    /// Compiles an item.
    ///
    /// # Errors
    /// Each of its faults.
    pub(super) fn parse(item: &str) -> Result<Self, Vec<Fault>> {
        let (pattern, template) = parts(item).map_err(|fault| vec![fault])?;
        let program = match Prefix::parse(pattern, template) {
            Some(prefix) => Program::Prefix(prefix),
            None => Program::Regex(Box::new(Substitution::new(pattern, template)?)),
        };
        Ok(Self { pattern: pattern.into(), template: template.into(), program })
    }

    /// As written.
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// As written.
    pub(super) fn template(&self) -> &str {
        &self.template
    }

    /// Replaces every match in the form of a path.
    pub(super) fn replace_all(&self, form: &[u8], result: &mut Vec<u8>, caches: &mut Caches) -> Outcome {
        match &self.program {
            Program::Prefix(prefix) => prefix.replace(form, result),
            Program::Regex(regex) => {
                regex.replace_all(form, result, caches);
                if result == form { Outcome::Same } else { Outcome::Made }
            }
        }
    }
}

impl Prefix {
    /// The prefix that is stripped and the one that is put, if the item does no more. No line break is in
    /// a match form, so `(.*)` takes the whole rest, and `^` lets the expression match once.
    pub(super) fn parse(pattern: &str, template: &str) -> Option<Self> {
        let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
        let strip = unescaped(pattern.strip_prefix('^')?.strip_suffix("(.*)")?)?;
        let put = template.strip_suffix("$1").or_else(|| template.strip_suffix("${1}"))?;
        if put.contains('$') { None } else { Some(Self { strip, put: form::of_text(put) }) }
    }

    pub(super) fn replace(&self, form: &[u8], result: &mut Vec<u8>) -> Outcome {
        let Some(rest) = form.strip_prefix(&*self.strip) else { return Outcome::Same };
        if self.strip == self.put {
            return Outcome::Same;
        }
        if self.put.is_empty() {
            return Outcome::Tail(self.strip.len());
        }
        result.clear();
        result.extend_from_slice(&self.put);
        result.extend_from_slice(rest);
        Outcome::Made
    }
}

/// The text a pattern stands for, if it can stand for one only.
fn unescaped(pattern: &str) -> Option<Box<[u8]>> {
    let mut literal = String::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        literal.push(match char {
            '\\' => chars.next().filter(char::is_ascii_punctuation)?,
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => char,
        });
    }
    Some(literal.into_bytes().into())
}
