//! A pattern in Go's RE2 syntax, said in the syntax of `regex-automata`.
//!
//! The two differ little: `\Q…\E` exists in Go only; `\d \w \s \b` know ASCII only in Go; `\<` and `\>` are plain
//! characters in Go, as are a `{` that starts no repetition and, in a class, `[ & ~`. What Go refuses and
//! the other takes (look-around is taken by neither) is not refused here.

use std::iter::Peekable;
use std::str::Chars;

/// The pattern in the other syntax, meaning the same.
pub(in crate::wall) fn from_go(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => escape(&mut chars, &mut out),
            '[' => class(&mut chars, &mut out),
            '{' if !starts_repetition(chars.clone()) => out.push_str(r"\{"),
            _ => out.push(char),
        }
    }
    out
}

/// What follows a backslash outside a class.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    match chars.next() {
        Some('Q') => quotation(chars, out),
        Some('d') => out.push_str("[0-9]"),
        Some('D') => out.push_str("[^0-9]"),
        Some('w') => out.push_str("[0-9A-Za-z_]"),
        Some('W') => out.push_str("[^0-9A-Za-z_]"),
        Some('s') => out.push_str(r"[\t\n\f\r ]"),
        Some('S') => out.push_str(r"[^\t\n\f\r ]"),
        Some(word_boundary @ ('b' | 'B')) => out.extend([r"(?-u:\", word_boundary.encode_utf8(&mut [0; 4]), ")"]),
        Some(char) => literal_escape(char, out),
        None => out.push('\\'),
    }
}

/// An escape that is the same in both, but for the two that only Go takes for plain characters.
fn literal_escape(char: char, out: &mut String) {
    if !matches!(char, '<' | '>') {
        out.push('\\');
    }
    out.push(char);
}

/// Up to `\E` or the end, everything stands for itself.
fn quotation(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(char) = chars.next() {
        if char == '\\' && chars.next_if_eq(&'E').is_some() {
            return;
        }
        if char.is_ascii_punctuation() { literal_escape(char, out) } else { out.push(char) }
    }
}

/// Whether a `{` is followed by the rest of `{2}`, `{2,}` or `{2,3}`. (An item of a rewrite has no comma.)
fn starts_repetition(mut chars: Peekable<Chars<'_>>) -> bool {
    let mut digits = 0;
    while chars.next_if(char::is_ascii_digit).is_some() {
        digits += 1;
    }
    if chars.next_if_eq(&',').is_some() {
        while chars.next_if(char::is_ascii_digit).is_some() {}
    }
    digits > 0 && chars.next() == Some('}')
}

/// A class, after its opening bracket, to its closing one.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    out.extend(chars.next_if_eq(&'^'));
    if chars.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
    while let Some(char) = chars.next() {
        match char {
            ']' => return out.push(']'),
            '[' if chars.peek() == Some(&':') => named_class(chars, out),
            '[' | '&' | '~' => out.extend(['\\', char]),
            '\\' => match chars.next() {
                Some('d') => out.push_str("0-9"),
                Some('w') => out.push_str("0-9A-Za-z_"),
                Some('s') => out.push_str(r"\t\n\f\r "),
                Some('D') => out.push_str("[^0-9]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('S') => out.push_str(r"[^\t\n\f\r ]"),
                Some(char) => literal_escape(char, out),
                None => out.push('\\'),
            },
            _ => out.push(char),
        }
    }
}

/// `[:alpha:]`, after its opening bracket.
fn named_class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    for char in chars.by_ref() {
        out.push(char);
        if char == ']' {
            return;
        }
    }
}
