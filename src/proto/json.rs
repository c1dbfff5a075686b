//! JSON text (RFC 8259): finding one value without building any.
//!
//! The whole text is read, strictly, so that what a rule sees is what a service's parser will see; a path that leads to
//! two values, because a name stands twice, is refused for the same reason. Out of scope: numbers as numbers, writing.

use super::field::is_token_byte;

/// Deeper nesting is not read.
const DEPTH_MAX: usize = 64;

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It breaks the grammar, is no UTF-8 or nests too deep.
    Malformed,
    /// A name of the path stands twice, or in another case.
    Ambiguous,
}

/// The value at a path of names, and of numbers within arrays: a string without quotes and escapes, which `decoded` is
/// room for, anything else as it stands. A `null` is no value.
///
/// # Errors
/// When the text is not what every parser reads alike.
pub fn find<'a, S: AsRef<str>>(
    text: &'a [u8],
    path: &[S],
    decoded: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, Unreadable> {
    let text = str::from_utf8(text).map_err(|_| Unreadable::Malformed)?;
    let mut reader = Reader { text: text.as_bytes(), at: 0, found: None, twice: false, name: decoded };
    reader.value(Some(path), 0).and_then(|()| reader.end()).ok_or(Unreadable::Malformed)?;
    if reader.twice {
        return Err(Unreadable::Ambiguous);
    }
    Ok(match reader.found.map(|(start, end)| &text.as_bytes()[start..end]) {
        None | Some(b"null") => None,
        Some([b'"', inside @ .., b'"']) => {
            unescape(inside, decoded);
            Some(decoded)
        }
        other => other,
    })
}

struct Reader<'a, 'n> {
    text: &'a [u8],
    at: usize,
    /// Where the value stands.
    found: Option<(usize, usize)>,
    twice: bool,
    /// Room for a name with escapes.
    name: &'n mut Vec<u8>,
}

/// How a name is to the one that is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alike {
    Same,
    ButForCase,
    Other,
}

impl Alike {
    fn of(name: &[u8], wanted: &[u8]) -> Self {
        match name.eq_ignore_ascii_case(wanted) {
            true if name == wanted => Self::Same,
            true => Self::ButForCase,
            false => Self::Other,
        }
    }
}

/// What is left of the path for a value; `None`: it is not on the path.
type Rest<'p, S> = Option<&'p [S]>;

impl Reader<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blank();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn end(&mut self) -> Option<()> {
        self.blank();
        self.peek().is_none().then_some(())
    }

    fn value<S: AsRef<str>>(&mut self, rest: Rest<'_, S>, depth: usize) -> Option<()> {
        self.blank();
        let start = self.at;
        match self.peek()? {
            b'{' if depth < DEPTH_MAX => self.object(rest, depth),
            b'[' if depth < DEPTH_MAX => self.array(rest, depth),
            b'"' => self.string().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }?;
        if rest.is_some_and(<[S]>::is_empty) {
            self.twice |= self.found.replace((start, self.at)).is_some();
        }
        Some(())
    }

    fn object<S: AsRef<str>>(&mut self, rest: Rest<'_, S>, depth: usize) -> Option<()> {
        self.at += 1;
        if self.take(b'}').is_some() {
            return Some(());
        }
        let mut seen = false;
        loop {
            self.blank();
            let (start, end) = self.string()?;
            let next = rest.and_then(<[S]>::split_first);
            let alike = next.map_or(Alike::Other, |(name, _)| self.is_named(start, end, name.as_ref()));
            let inner = next.filter(|_| alike == Alike::Same);
            match alike {
                Alike::Same => self.twice |= std::mem::replace(&mut seen, true),
                // To parsers that compare without case it is the same name.
                Alike::ButForCase => self.twice = true,
                Alike::Other => {}
            }
            self.take(b':')?;
            self.value(inner.map(|(_, rest)| rest), depth + 1)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn array<S: AsRef<str>>(&mut self, rest: Rest<'_, S>, depth: usize) -> Option<()> {
        self.at += 1;
        if self.take(b']').is_some() {
            return Some(());
        }
        let wanted = rest.and_then(<[S]>::split_first);
        let wanted = wanted.and_then(|(name, rest)| Some((name.as_ref().parse::<usize>().ok()?, rest)));
        for index in 0_usize.. {
            let inner = wanted.filter(|(wanted, _)| *wanted == index).map(|(_, rest)| rest);
            self.value(inner, depth + 1)?;
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
        None
    }

    /// Where the inside of a string begins and ends.
    fn string(&mut self) -> Option<(usize, usize)> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some((start, self.at - 1));
                }
                b'\\' => self.escape()?,
                ..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let (_, length) = escaped(&self.text[self.at..])?;
        self.at += length;
        Some(())
    }

    fn is_named(&mut self, start: usize, end: usize, name: &str) -> Alike {
        let inside = &self.text[start..end];
        if memchr::memchr(b'\\', inside).is_none() {
            return Alike::of(inside, name.as_bytes());
        }
        unescape(inside, self.name);
        Alike::of(self.name, name.as_bytes())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // What follows at once would be another token.
        self.peek().is_none_or(|byte| !is_token_byte(byte)).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// The character that an escape stands for, and how long the escape is.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 4)?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    };
    let simple = |char| Some((char, 2));
    match text.get(1)? {
        b'"' => simple('"'),
        b'\\' => simple('\\'),
        b'/' => simple('/'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'u' => match unit(2)? {
            high @ 0xd800..0xdc00 if text.get(6..8) == Some(b"\\u") => {
                let low = unit(8).filter(|low| (0xdc00..0xe000).contains(low))?;
                Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12))
            }
            unit => Some((char::from_u32(unit)?, 6)),
        },
        _ => None,
    }
}

/// Writes the inside of a string without its escapes in place of `out`.
fn unescape(inside: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let Some((char, length)) = escaped(&rest[at..]) else { break };
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn found(text: &str, path: &[&str]) -> Result<Option<String>, Unreadable> {
        let mut decoded = Vec::new();
        let value = find(text.as_bytes(), path, &mut decoded)?;
        Ok(value.map(|value| String::from_utf8(value.to_vec()).unwrap()))
    }

    fn value(text: &str, path: &[&str]) -> Option<String> {
        found(text, path).expect(text)
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = r#" { "a" : {"b": [1, {"c": "x\u00e9\n"}], "n": null}, "d": -1.50e+3, "e": true, "" : "empty" } "#;
        assert_eq!(value(text, &["a", "b", "1", "c"]).as_deref(), Some("x\u{e9}\n"));
        assert_eq!(value(text, &["a", "b", "0"]).as_deref(), Some("1"));
        assert_eq!(value(text, &["d"]).as_deref(), Some("-1.50e+3"));
        assert_eq!(value(text, &["e"]).as_deref(), Some("true"));
        assert_eq!(value(text, &[""]).as_deref(), Some("empty"));
        assert_eq!(value(text, &["a", "b"]).as_deref(), Some(r#"[1, {"c": "x\u00e9\n"}]"#));
        for absent in [&["a", "n"][..], &["x"], &["a", "b", "2"], &["d", "x"], &["a", "b", "c"]] {
            assert_eq!(value(text, absent), None, "{absent:?}");
        }
    }

    #[test]
    fn a_name_may_be_written_with_escapes() {
        assert_eq!(value(r#"{"\u0061\ud83d\ude00": 1}"#, &["a\u{1f600}"]).as_deref(), Some("1"));
    }

    #[test]
    fn a_name_that_stands_twice_on_the_path_is_ambiguous() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":{"b":1},"a":{}}"#, r#"{"A":{"b":1}}"#] {
            assert_eq!(found(text, &["a", "b"]), Err(Unreadable::Ambiguous), "{text}");
        }
        assert_eq!(value(r#"{"b":1,"b":2,"a":3}"#, &["a"]).as_deref(), Some("3"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "{}x",
            "[1,]",
            "{\"a\":}",
            "{a:1}",
            "01",
            "1.",
            "+1",
            "\"\n\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "nul",
            "truex",
            "'a'",
        ] {
            assert_eq!(found(text, &["a"]), Err(Unreadable::Malformed), "{text}");
        }
        assert_eq!(find(b"\"\xff\"", &["a"], &mut Vec::new()), Err(Unreadable::Malformed));
        assert_eq!(found(&"[".repeat(100_000), &["a"]), Err(Unreadable::Malformed));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,6}|[\\\\\"\n\u{1}\u{1f600}/]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[ab\"\\\\]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_parser_finds(json in json(), path in prop::collection::vec("[ab\"\\\\]{0,2}|[01]", 0..3)) {
            let text = json.to_string();
            let expected = path.iter().try_fold(&json, |value, name| match value {
                Value::Array(values) => values.get(name.parse::<usize>().ok()?),
                value => value.get(name),
            });
            let expected = expected.filter(|value| !value.is_null()).map(|value| match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            });
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            prop_assert_eq!(found(&text, &path), Ok(expected), "{}", text);
        }

        #[test]
        fn what_is_refused_is_what_a_parser_refuses(text in "[\\[\\]{}\",:0-9a.e\\\\tru-]{0,14}") {
            let parsed = serde_json::from_str::<Value>(&text);
            let read = found(&text, &["\u{0}"]);
            // Numbers beyond a double are grammar to us and an error there.
            if !parsed.as_ref().is_err_and(|error| error.to_string().contains("out of range")) {
                prop_assert_eq!(read.is_ok(), parsed.is_ok(), "{}: {:?}", text, parsed);
            }
        }
    }
}
