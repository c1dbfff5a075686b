//! `[[module.validation]]` → `Validation`.

use super::{Desk, Page};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::wall::attribute::Attribute;
use crate::wall::expression::Expression;
use crate::wall::validation::{BodyRule, Demand, HeadRule, Validation};

pub(super) fn compile(page: &Page, module: &Section, faults: &mut Faults) -> Option<Box<Validation>> {
    let (mut head, mut body) = (Vec::new(), Vec::new());
    for section in module.many("validation") {
        let mut desk = Desk { source: &page.source, section, faults: &mut *faults };
        let demand = demand(&mut desk);
        let part = section.text("part");
        if let Some(path) = part.strip_prefix("json.") {
            let path: Box<[Box<str>]> = path.split('.').map(Into::into).collect();
            body.push(BodyRule { path, demand });
        } else if !part.is_empty() {
            match Attribute::parse(part) {
                Ok(part) => head.push(HeadRule { part, demand }),
                Err(message) => desk.error("part", message, "or json.NAME for a value in a JSON body"),
            }
        }
    }
    let any = !head.is_empty() || !body.is_empty();
    any.then(|| Box::new(Validation { head: head.into(), body: body.into() }))
}

fn demand(desk: &mut Desk<'_>) -> Demand {
    let matches: Box<[Expression]> =
        desk.each("matches", |text| Expression::parse(text).map_err(|message| (message, ""))).into();
    let required = desk.section.flag("required");
    if !required && !desk.section.gives("matches") && !desk.section.text("part").is_empty() {
        desk.warn("part", "this rule demands nothing".into(), "write required = true, or expressions in matches");
    }
    Demand { required, matches }
}
