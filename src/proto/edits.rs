//! What is done to the fields of a head on its way: fields set, added and deleted, as bytes in a row.
//!
//! An edit is a word, two lengths and the ready line, so that many edits are one buffer of the core's, reading them
//! allocates nothing, and none of them costs one comparison. The last word on a name holds: what is set or deleted
//! takes away the message's own fields of that name and edits that came before. In scope: the form, and asking it.
//! Out of scope: whose edits (`dressing`, `headers` and `filters` of `worker/policy`), names that must not be touched
//! (`field::may_be_edited`).

use super::scan::ends_line;

/// What is done with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The field stands beside others of its name.
    Add,
    /// The field stands in place of all others of its name.
    Set,
    /// No field of that name goes on.
    Delete,
}

impl Edit {
    const fn word(self) -> u8 {
        match self {
            Self::Add => 0,
            Self::Set => 1,
            Self::Delete => 2,
        }
    }
}

/// Word, length of the name, length of the line in two bytes.
const PREFIX_BYTES: usize = 4;

/// Appends an edit. False where it cannot be said: a name or a value that is too long, or bytes that would end the
/// line early.
pub fn push(edits: &mut Vec<u8>, edit: Edit, name: &[u8], value: &[u8]) -> bool {
    let line_bytes = name.len() + value.len() + 4;
    let (Ok(name_bytes), Ok(line_bytes)) = (u8::try_from(name.len()), u16::try_from(line_bytes)) else { return false };
    if name.is_empty() || ends_line(name) || ends_line(value) {
        return false;
    }
    edits.push(edit.word());
    edits.push(name_bytes);
    edits.extend_from_slice(&line_bytes.to_le_bytes());
    edits.extend_from_slice(name);
    edits.extend_from_slice(b": ");
    edits.extend_from_slice(value);
    edits.extend_from_slice(b"\r\n");
    true
}

/// Appends an edit as far as it can be said: a field that was to be set, and cannot be, does not stand as it came either.
pub fn say(edits: &mut Vec<u8>, edit: Edit, name: &[u8], value: &[u8]) {
    if !push(edits, edit, name, value) && edit == Edit::Set {
        push(edits, Edit::Delete, name, b"");
    }
}

/// Edits that were pushed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a>(&'a [u8]);

/// One of them.
struct Entry<'a> {
    word: u8,
    name: &'a [u8],
    line: &'a [u8],
}

impl Entry<'_> {
    fn takes_away(&self, name: &[u8]) -> bool {
        self.word != Edit::Add.word() && self.name.eq_ignore_ascii_case(name)
    }
}

impl<'a> Edits<'a> {
    /// What [`push`] wrote.
    #[must_use]
    pub const fn new(pushed: &'a [u8]) -> Self {
        Self(pushed)
    }

    /// As they were pushed.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether a message's own field of this name must not go on.
    #[inline]
    #[must_use]
    pub fn take_away(self, name: &[u8]) -> bool {
        !self.0.is_empty() && self.entries().any(|entry| entry.takes_away(name))
    }

    /// Appends the lines that are added.
    #[inline]
    pub fn put(self, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            self.standing().for_each(|entry| out.extend_from_slice(entry.line));
        }
    }

    /// Those with a line that no later edit takes away.
    fn standing(self) -> impl Iterator<Item = Entry<'a>> {
        let mut rest = self;
        std::iter::from_fn(move || {
            loop {
                let (entry, after) = rest.split()?;
                rest = after;
                if entry.word != Edit::Delete.word() && !rest.take_away(entry.name) {
                    return Some(entry);
                }
            }
        })
    }

    fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let (entry, after) = rest.split()?;
            rest = after;
            Some(entry)
        })
    }

    fn split(self) -> Option<(Entry<'a>, Self)> {
        let (&[word, name_bytes, low, high], rest) = self.0.split_first_chunk::<PREFIX_BYTES>()?;
        let (line, after) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        Some((Entry { word, name: line.get(..usize::from(name_bytes))?, line }, Self(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(all: &[(Edit, &str, &str)]) -> Vec<u8> {
        let mut pushed = Vec::new();
        for (edit, name, value) in all {
            assert!(push(&mut pushed, *edit, name.as_bytes(), value.as_bytes()));
        }
        pushed
    }

    fn lines(pushed: &[u8]) -> String {
        let mut out = Vec::new();
        Edits::new(pushed).put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_added_stands_beside_and_what_is_set_instead() {
        let pushed =
            edits(&[(Edit::Add, "Vary", "Origin"), (Edit::Set, "Server", "us"), (Edit::Delete, "X-Secret", "")]);
        assert_eq!(lines(&pushed), "Vary: Origin\r\nServer: us\r\n");
        let edits = Edits::new(&pushed);
        assert!(!edits.take_away(b"vary") && edits.take_away(b"server") && edits.take_away(b"x-secret"));
    }

    #[test]
    fn the_last_word_on_a_name_holds() {
        assert_eq!(
            lines(&edits(&[(Edit::Add, "A", "1"), (Edit::Set, "a", "2"), (Edit::Add, "A", "3")])),
            "a: 2\r\nA: 3\r\n"
        );
        assert_eq!(lines(&edits(&[(Edit::Set, "A", "1"), (Edit::Delete, "a", "")])), "");
    }

    #[test]
    fn none_take_nothing_away_and_put_nothing() {
        assert!(!Edits::default().take_away(b"a"));
        assert_eq!(lines(&[]), "");
    }

    #[test]
    fn what_would_end_the_line_early_is_not_taken() {
        let mut pushed = Vec::new();
        assert!(!push(&mut pushed, Edit::Set, b"a", b"b\r\nc: d"));
        assert!(!push(&mut pushed, Edit::Set, b"a\n", b"b"));
        assert!(!push(&mut pushed, Edit::Set, &[b'a'; 256], b"b"));
        assert!(!push(&mut pushed, Edit::Set, b"a", &[b'b'; 65_536]));
        assert!(pushed.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn what_stands_is_what_a_list_would_hold(
            all in proptest::collection::vec((0..3_u8, "[abAB]{1,2}", "[x-z]{0,3}"), 0..8),
        ) {
            let mut pushed = Vec::new();
            let mut held: Vec<(String, String)> = Vec::new();
            let mut gone = std::collections::HashSet::new();
            for (edit, name, value) in &all {
                let edit = [Edit::Add, Edit::Set, Edit::Delete][usize::from(*edit)];
                push(&mut pushed, edit, name.as_bytes(), value.as_bytes());
                if edit != Edit::Add {
                    held.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    gone.insert(name.to_ascii_lowercase());
                }
                if edit != Edit::Delete {
                    held.push((name.clone(), value.clone()));
                }
            }
            let expected: String = held.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            proptest::prop_assert_eq!(lines(&pushed), expected);
            for name in ["a", "b", "ab", "BA"] {
                let taken = gone.contains(&name.to_ascii_lowercase());
                proptest::prop_assert_eq!(Edits::new(&pushed).take_away(name.as_bytes()), taken);
            }
        }
    }

    #[test]
    fn what_cannot_be_set_does_not_stay_as_it_came() {
        let mut said = Vec::new();
        say(&mut said, Edit::Set, b"a", &[b'b'; 65_536]);
        assert!(Edits::new(&said).take_away(b"A") && lines(&said).is_empty());
        said.clear();
        say(&mut said, Edit::Add, b"a", &[b'b'; 65_536]);
        assert!(!Edits::new(&said).take_away(b"a"));
    }

    #[test]
    fn bytes_that_were_not_pushed_are_read_without_harm() {
        assert_eq!(lines(b"\x01\x09\x02\x00ab"), "");
        assert_eq!(lines(b"\x01"), "");
    }
}
