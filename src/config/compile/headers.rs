//! `[[module.header]]` → `HeaderRules`.

use super::{Desk, Page};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::proto::edits::Edit;
use crate::proto::field;
use crate::wall::composition::{Composition, Place};
use crate::wall::headers::{HeaderRule, HeaderRules};

pub(super) fn compile(page: &Page, module: &Section, faults: &mut Faults) -> Option<Box<HeaderRules>> {
    let (mut request, mut response) = (Vec::new(), Vec::new());
    for section in module.many("header") {
        let mut desk = Desk { source: &page.source, section, faults: &mut *faults };
        let rules = if section.text("on") == "response" { &mut response } else { &mut request };
        rules.extend(rule(&mut desk));
    }
    let rules = HeaderRules { request: request.into(), response: response.into() };
    (!rules.is_empty()).then(|| Box::new(rules))
}

fn rule(desk: &mut Desk<'_>) -> Option<HeaderRule> {
    let name = desk.section.text("name");
    if name.is_empty() {
        return None;
    }
    if !field::is_token(name.as_bytes()) || name.len() > usize::from(u8::MAX) {
        desk.error("name", format!("`{name}` is no name of a header field"), "");
        return None;
    }
    if !field::may_be_edited(name) {
        let message = format!("`{name}` cannot be edited: the gateway writes it, or no one may");
        desk.error("name", message, "for Host there is base.host; docs/shaping.md lists the others");
        return None;
    }
    let edit = match desk.section.text("action") {
        "add" => Edit::Add,
        "delete" => Edit::Delete,
        _ => Edit::Set,
    };
    if edit == Edit::Delete && desk.section.gives("value") {
        desk.warn("value", "value has no effect: the field is deleted".into(), "");
    }
    let value = composition(desk, "value", Place::Field)?;
    Some(HeaderRule { edit, name: name.into(), value })
}

/// A text with parts of the request in it.
pub(super) fn composition(desk: &mut Desk<'_>, key: &str, place: Place) -> Option<Composition> {
    let text = desk.section.raw(key);
    match Composition::parse(text, place) {
        Ok(composition) => Some(composition),
        Err((offset, message)) => {
            let at = desk.section.inside(desk.source, key, offset);
            desk.faults.error(desk.source, at, message, "docs/shaping.md lists the parts of a request");
            None
        }
    }
}
