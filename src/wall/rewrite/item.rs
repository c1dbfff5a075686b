//! One item of a `url_rewrite`: its pattern, its template and which of two ways carries it out.
//!
//! In scope: the shape of an item and the way without an engine. Out of scope: the way with one
//! (`substitution`).

use super::form;
use super::scratch::Caches;
use super::substitution::Substitution;
use super::template::UnknownGroup;

/// What is to be said of an item.
#[derive(Debug)]
pub(super) struct Remark {
    /// Whether the item is used as it is, or left out as GateKeeper does.
    pub(super) warning: bool,
    /// Where in the item, in bytes.
    pub(super) at: usize,
    pub(super) message: String,
}

impl Remark {
    fn warning(at: usize, message: String) -> Self {
        Self { warning: true, at, message }
    }
}

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

/// Pattern and template of an item, if it has exactly one space.
fn parts(item: &str) -> Result<(&str, &str), Remark> {
    let wrong = |at, what| {
        let message = format!("{what}, so this item is ignored, as GateKeeper does; {SHAPE}");
        Remark::warning(at, message)
    };
    let (pattern, template) = item.split_once(' ').ok_or_else(|| wrong(0, "no space"))?;
    match template.find(' ') {
        None => Ok((pattern, template)),
        Some(_) if pattern.is_empty() => Err(wrong(0, "a space before the pattern")),
        Some(second) => Err(wrong(pattern.len() + 1 + second, "more than one space")),
    }
}

const SHAPE: &str = "an item is a pattern, one space and a template";

fn empty_pattern() -> Remark {
    let message = "the pattern is empty, so it matches between all characters, as in GateKeeper";
    Remark::warning(0, format!("{message}; {SHAPE}"))
}

/// What is said of a template's reference to no group; the template starts at `start` of its item.
fn unknown_group(start: usize, group: &UnknownGroup) -> Remark {
    let name = &group.name;
    let rest = name.trim_start_matches(|char: char| char.is_ascii_digit());
    let number = &name[..name.len() - rest.len()];
    let hint = if number.is_empty() || rest.is_empty() {
        String::new()
    } else {
        format!("; for group {number} and then `{rest}` write `${{{number}}}{rest}`")
    };
    let message = format!("the pattern has no group `{name}`, so that is empty, as in GateKeeper{hint}");
    Remark::warning(start + group.offset, message)
}

impl Item {
    /// Compiles an item and says what is to be said of it. `None` where it cannot be used.
    pub(super) fn parse(item: &str, remarks: &mut Vec<Remark>) -> Option<Self> {
        let (pattern, template) = parts(item).map_err(|remark| remarks.push(remark)).ok()?;
        if pattern.is_empty() {
            remarks.push(empty_pattern());
        }
        let program = match Prefix::parse(pattern, template) {
            Some(prefix) => Program::Prefix(prefix),
            None => Program::Regex(Box::new(Self::substitution(pattern, template, remarks)?)),
        };
        Some(Self { pattern: pattern.into(), template: template.into(), program })
    }

    fn substitution(pattern: &str, template: &str, remarks: &mut Vec<Remark>) -> Option<Substitution> {
        match Substitution::new(pattern, template) {
            Ok((substitution, unknown)) => {
                remarks.extend(unknown.iter().map(|group| unknown_group(pattern.len() + 1, group)));
                Some(substitution)
            }
            Err(message) => {
                remarks.push(Remark { warning: false, at: 0, message });
                None
            }
        }
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
