//! `[module.cors]` → `Cors`.

use super::Desk;
use crate::proto::field;
use crate::wall::cors::{Cors, OriginRule, Origins};

pub(super) fn compile(desk: &mut Desk<'_>) -> Option<Box<Cors>> {
    let items = desk.items("allow_origins");
    if items.is_empty() {
        let idle = ["allow_methods", "allow_headers", "expose_headers", "allow_credentials", "max_age"];
        if let Some(key) = idle.into_iter().find(|key| desk.section.gives(key)) {
            desk.warn(key, format!("{key} has no effect without allow_origins"), "name the origins, or `*` for all");
        }
        return None;
    }
    let credentials = desk.section.flag("allow_credentials");
    let origins = if items.iter().any(|item| item.text == "*") {
        if credentials {
            let message =
                "with allow_credentials the origins must be named: `*` would let every page act as its visitor";
            desk.error("allow_origins", message.into(), "name the origins, or set allow_credentials = false");
        }
        Origins::Any
    } else {
        let rules = desk.each("allow_origins", |text| OriginRule::parse(text).map_err(|message| (message, ORIGIN)));
        Origins::Listed(rules.into())
    };
    Some(Box::new(Cors {
        origins,
        methods: names(desk, "allow_methods"),
        headers: names(desk, "allow_headers"),
        exposed: names(desk, "expose_headers"),
        credentials,
        max_age_s: desk.section.int("max_age").to_string().into(),
    }))
}

const ORIGIN: &str = "write it as a browser sends it, such as https://app.example.com, or https://*.example.com";

/// Names with commas between, in one form; one star stands for all.
fn names(desk: &mut Desk<'_>, key: &str) -> Box<str> {
    let names: Vec<_> = desk.section.text(key).split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(wrong) = names.iter().find(|name| !field::is_token(name.as_bytes())) {
        desk.error(key, format!("`{wrong}` is no name"), "write names with commas between them");
    }
    if names.contains(&"*") { "*".into() } else { names.join(", ").into() }
}
