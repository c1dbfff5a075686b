//! The text of a `url_pattern` → `Pattern`: constants in the form that paths have, typed segments, their names.

use std::borrow::Cow;

use super::rules::prefix;
use crate::limits::PATTERN_PARAMETERS_MAX;
use crate::wall::routes::{Pattern, Segment};

/// What is wrong, where in the text, and what to do.
pub(super) type Wrong = (usize, String, Cow<'static, str>);

/// A segment with its name, if it has one.
type Named = (Segment, Option<Box<str>>);

const KINDS: &str =
    "segments are text, (number), (string), (enum:a|b) or a last *; a name follows a colon: (number):id";

/// Compiles a pattern.
pub(super) fn parse(text: &str) -> Result<Pattern, Wrong> {
    let Some(inner) = text.strip_prefix('/') else {
        return Err((0, format!("`{text}` does not start with /"), "paths start with /".into()));
    };
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let mut segments: Vec<Named> = Vec::new();
    let mut at = 1;
    for piece in inner.split('/').filter(|_| !inner.is_empty()) {
        if segments.iter().any(|(segment, _)| *segment == Segment::Rest) {
            return Err((at, "nothing can follow `*`".into(), "it takes all further segments".into()));
        }
        let (segment, name) = segment(piece).map_err(|(message, help)| (at, message, help))?;
        if name.is_some() && segments.iter().any(|(_, known)| *known == name) {
            let name = name.unwrap_or_default();
            return Err((at, format!("two segments have the name `{name}`"), "give each its own".into()));
        }
        segments.push((segment, name));
        at += piece.len() + 1;
    }
    let typed = segments.iter().filter(|(segment, _)| !matches!(segment, Segment::Constant(_))).count();
    if typed > PATTERN_PARAMETERS_MAX {
        let message = format!("{typed} segments that are no constants: a pattern has {PATTERN_PARAMETERS_MAX} at most");
        return Err((0, message, "".into()));
    }
    Ok(Pattern::new(segments))
}

fn segment(piece: &str) -> Result<Named, (String, Cow<'static, str>)> {
    match piece {
        "" => return Err(("a segment is empty".into(), "paths have one slash between two segments".into())),
        "*" => return Ok((Segment::Rest, Some("*".into()))),
        "**" => return Err(("`**` is no segment".into(), "write *, or a url_prefix for the path itself too".into())),
        _ => {}
    }
    let Some(typed) = piece.strip_prefix('(') else {
        let plain = !piece.contains(['(', ')', '*']);
        return if plain {
            constant(piece).map(|text| (Segment::Constant(text), None))
        } else {
            Err(no_segment(piece))
        };
    };
    let (kind, rest) = typed.split_once(')').ok_or_else(|| no_segment(piece))?;
    let segment = match kind {
        "number" => Segment::Number,
        "string" => Segment::Text,
        _ => {
            let texts =
                kind.strip_prefix("enum:").filter(|texts| !texts.is_empty()).ok_or_else(|| no_segment(piece))?;
            Segment::OneOf(texts.split('|').map(constant).collect::<Result<_, _>>()?)
        }
    };
    let letters = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((segment, None)),
        Some(name) if !name.is_empty() && letters(name) => Ok((segment, Some(name.into()))),
        _ => Err(no_segment(piece)),
    }
}

/// A text in the form that it has in paths.
fn constant(text: &str) -> Result<Box<[u8]>, (String, Cow<'static, str>)> {
    match prefix(&format!("/{text}"), true) {
        Ok(path) if path.len() > 1 && !path[1..].contains(&b'/') => Ok(path[1..].into()),
        _ => Err((format!("no path has the segment `{text}`"), KINDS.into())),
    }
}

fn no_segment(piece: &str) -> (String, Cow<'static, str>) {
    (format!("`{piece}` is no segment"), KINDS.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, path: &str) -> bool {
        parse(pattern).expect(pattern).takes(path.as_bytes())
    }

    #[test]
    fn every_kind_of_segment_is_read() {
        assert!(takes("/users/(number):id/(string)", "/users/7/x"));
        assert!(takes("/(enum:a|b):kind/*", "/b/x/y"));
        assert!(!takes("/(enum:a|b):kind/*", "/c/x/y"));
        assert!(takes("/", "/"));
        assert!(takes("/a/", "/a"));
        assert!(takes("/\u{8ba2} x/(string)", "/%E8%AE%A2%20x/y"));
        let pattern = parse("/(number):id/(string)/*").expect("a pattern");
        let names: Vec<_> = pattern.parameters().iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["id", "*"]);
    }

    #[test]
    fn what_is_no_pattern_is_refused_at_its_place() {
        for (text, at) in [
            ("a", 0),
            ("", 0),
            ("/a//b", 3),
            ("/a/(int)", 3),
            ("/a/(enum:)", 3),
            ("/a/(number", 3),
            ("/a/(number)x", 3),
            ("/a/(number):", 3),
            ("/a/x(number)", 3),
            ("/*/a", 3),
            ("/a/**", 3),
            ("/../a", 1),
            ("/(string):x/(number):x", 12),
        ] {
            assert_eq!(parse(text).map_err(|wrong| wrong.0), Err(at), "{text}");
        }
        assert!(parse(&"/(string)".repeat(PATTERN_PARAMETERS_MAX + 1)).is_err());
    }
}
