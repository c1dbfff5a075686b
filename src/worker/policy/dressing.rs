//! What is put on an answer beside what it is: fields of rates, of usage, of CORS, of a service's header rules.
//!
//! Whoever decides over a request says it while the request is planned; it goes on the service's answer and on an
//! answer of our own alike. None of it costs no buffer and one branch. A request that is planned again for another
//! attempt keeps what was said the first time. Out of scope: how the edits are written into a head (`proto/edits`).

use std::cell::{Ref, RefCell};

use crate::proto::edits::{self, Edit, Edits};
use crate::worker::shard::buffer::{Buffers, Class, Lease};

/// The edits of one exchange's answer.
#[derive(Debug, Default)]
pub struct Dressing(RefCell<Said>);

#[derive(Debug, Default)]
struct Said {
    edits: Option<Lease>,
    sealed: bool,
}

impl Dressing {
    /// Forgets everything: another request is planned, or this one is over.
    #[inline]
    pub fn clear(&self) {
        let mut said = self.0.borrow_mut();
        said.sealed = false;
        if said.edits.is_some() {
            said.edits = None;
        }
    }

    /// From here on it stays as it is: what another plan of the same request says has been said.
    #[inline]
    pub fn seal(&self) {
        self.0.borrow_mut().sealed = true;
    }

    /// Sets a field: it takes the place of the service's, and of what was said of the name before.
    pub fn set(&self, buffers: &Buffers, name: &[u8], value: &[u8]) {
        self.say(buffers, Edit::Set, name, value);
    }

    /// Does this to the fields of the name. What cannot stand on a line is left out.
    pub fn say(&self, buffers: &Buffers, edit: Edit, name: &[u8], value: &[u8]) {
        let Said { edits, sealed } = &mut *self.0.borrow_mut();
        if !*sealed {
            let lease = edits.get_or_insert_with(|| buffers.lease(Class::Small));
            edits::say(lease.vec(), edit, name, value);
        }
    }

    /// What was said. Nothing may be said while it is held.
    #[must_use]
    pub fn worn(&self) -> Worn<'_> {
        Worn(self.0.borrow())
    }
}

/// A look at what was said.
pub struct Worn<'d>(Ref<'d, Said>);

impl Worn<'_> {
    /// The edits.
    #[inline]
    #[must_use]
    pub fn edits(&self) -> Edits<'_> {
        self.0.edits.as_ref().map_or(Edits::default(), |lease| Edits::new(lease.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(dressing: &Dressing) -> String {
        let mut out = Vec::new();
        dressing.worn().edits().put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plain_answer_takes_no_buffer() {
        let (buffers, dressing) = (Buffers::default(), Dressing::default());
        dressing.clear();
        assert_eq!((lines(&dressing).as_str(), buffers.leased()), ("", 0));
    }

    #[test]
    fn what_is_said_is_worn_until_it_is_cleared() {
        let (buffers, dressing) = (Buffers::default(), Dressing::default());
        dressing.set(&buffers, b"RateLimit", b"r=1");
        dressing.say(&buffers, Edit::Add, b"Vary", b"Origin");
        assert_eq!((lines(&dressing).as_str(), buffers.leased()), ("RateLimit: r=1\r\nVary: Origin\r\n", 1));
        dressing.clear();
        assert_eq!((lines(&dressing).as_str(), buffers.leased()), ("", 0));
    }

    #[test]
    fn another_plan_of_the_same_request_says_nothing_twice() {
        let (buffers, dressing) = (Buffers::default(), Dressing::default());
        dressing.set(&buffers, b"A", b"1");
        dressing.seal();
        dressing.set(&buffers, b"A", b"2");
        assert_eq!(lines(&dressing), "A: 1\r\n");
    }
}
