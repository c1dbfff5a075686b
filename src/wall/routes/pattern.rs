//! `url_pattern`: a path of segments, some of them typed.
//!
//! In scope: what a segment takes, and where the named ones stand in a path that was taken. Every segment has its
//! place, so a parameter is found by counting slashes and a lookup keeps no notes. Out of scope: the text of a
//! pattern (`config`), finding the one that takes a path (`tree`).

/// A compiled pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    segments: Box<[Segment]>,
    parameters: Box<[(Box<str>, Parameter)]>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This canonical text.
    Constant(Box<[u8]>),
    /// One of these canonical texts.
    OneOf(Box<[Box<[u8]>]>),
    /// ASCII digits, one or more.
    Number,
    /// Anything, but not nothing.
    Text,
    /// Everything from here on, but not nothing; the last of its pattern.
    Rest,
}

impl Segment {
    /// Whether it takes the text of one segment. `Rest` is asked for no single one.
    #[must_use]
    pub fn takes(&self, text: &[u8]) -> bool {
        match self {
            Self::Constant(constant) => **constant == *text,
            Self::OneOf(texts) => texts.iter().any(|one| **one == *text),
            Self::Number => !text.is_empty() && text.iter().all(u8::is_ascii_digit),
            Self::Text | Self::Rest => !text.is_empty(),
        }
    }
}

/// Where a named part of a path stands: by the number of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    segment: u16,
    rest: bool,
}

impl Parameter {
    /// The part of a path that the pattern has taken.
    #[must_use]
    pub fn of(self, path: &[u8]) -> &[u8] {
        let start = memchr::memchr_iter(b'/', path).nth(usize::from(self.segment)).map_or(path.len(), |at| at + 1);
        let tail = &path[start..];
        match memchr::memchr(b'/', tail) {
            Some(end) if !self.rest => &tail[..end],
            _ => tail,
        }
    }
}

impl Pattern {
    /// A pattern of these segments, each with its name where it has one.
    #[must_use]
    pub fn new(segments: Vec<(Segment, Option<Box<str>>)>) -> Self {
        let mut parameters = Vec::new();
        for ((segment, name), number) in segments.iter().zip(0..) {
            let parameter = Parameter { segment: number, rest: *segment == Segment::Rest };
            parameters.extend(name.clone().map(|name| (name, parameter)));
        }
        let segments = segments.into_iter().map(|(segment, _)| segment).collect();
        Self { segments, parameters: parameters.into() }
    }

    /// Its segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its named parts, in order.
    #[must_use]
    pub fn parameters(&self) -> &[(Box<str>, Parameter)] {
        &self.parameters
    }

    /// Whether it takes a whole path. One slash at the end makes no difference.
    #[must_use]
    pub fn takes(&self, path: &[u8]) -> bool {
        let mut rest = path;
        for segment in &self.segments {
            let Some(tail) = rest.strip_prefix(b"/") else { return false };
            if *segment == Segment::Rest {
                return !tail.is_empty();
            }
            let end = memchr::memchr(b'/', tail).unwrap_or(tail.len());
            if !segment.takes(&tail[..end]) {
                return false;
            }
            rest = &tail[end..];
        }
        matches!(rest, [] | [b'/'])
    }

    /// The constants it begins with, as a path.
    #[must_use]
    pub fn beginning(&self) -> Vec<u8> {
        let mut path = Vec::new();
        for segment in &self.segments {
            let Segment::Constant(text) = segment else { break };
            path.push(b'/');
            path.extend_from_slice(text);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/users/(number):id/*`
    fn pattern() -> Pattern {
        Pattern::new(vec![
            (Segment::Constant((*b"users").into()), None),
            (Segment::Number, Some("id".into())),
            (Segment::Rest, Some("*".into())),
        ])
    }

    #[test]
    fn each_segment_takes_its_kind_only() {
        assert!(pattern().takes(b"/users/17/a/b"));
        assert!(pattern().takes(b"/users/17/a/"));
        for path in ["/users/17", "/users/17/", "/users/x/a", "/users//a", "/user/17/a", "/", "", "/x/users/17/a"] {
            assert!(!pattern().takes(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        let text = Pattern::new(vec![(Segment::Text, None)]);
        assert!(text.takes(b"/a") && text.takes(b"/a/"));
        assert!(!text.takes(b"/a//") && !text.takes(b"/") && !text.takes(b"//"));
        assert!(Pattern::default().takes(b"/"));
    }

    #[test]
    fn named_parts_are_found_in_the_path() {
        let pattern = pattern();
        let [(id, number), (star, rest)] = pattern.parameters() else { panic!("two") };
        assert_eq!((&**id, &**star), ("id", "*"));
        assert_eq!(number.of(b"/users/17/a/b"), b"17");
        assert_eq!(rest.of(b"/users/17/a/b"), b"a/b");
        assert_eq!(rest.of(b"/users"), b"", "of no path that it takes: nothing, and no panic");
    }
}
