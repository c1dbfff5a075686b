//! `[[module.header]]`: fields that a service's requests and answers are given, or relieved of.
//!
//! In scope: the rules, and writing them for one request. Out of scope: which names may be edited
//! (`proto/field`), where the edits go (`worker/policy/headers`).

use super::composition::{Composition, Origin};
use crate::proto::edits::Edit;

/// The header rules of a service, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// For what goes to an endpoint.
    pub request: Box<[HeaderRule]>,
    /// For what goes to the client, an answer of our own included.
    pub response: Box<[HeaderRule]>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// What is done.
    pub edit: Edit,
    /// To which field.
    pub name: Box<str>,
    /// The value that it is given.
    pub value: Composition,
}

impl HeaderRules {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }
}

/// Says each edit for a request; `decoded` and `value` are room.
pub fn write(
    rules: &[HeaderRule],
    origin: &Origin<'_>,
    (decoded, value): (&mut Vec<u8>, &mut Vec<u8>),
    mut say: impl FnMut(Edit, &[u8], &[u8]),
) {
    for rule in rules {
        match rule.value.constant() {
            Some(constant) => say(rule.edit, rule.name.as_bytes(), constant),
            None => {
                value.clear();
                rule.value.write(origin, decoded, value);
                say(rule.edit, rule.name.as_bytes(), value);
            }
        }
    }
}
