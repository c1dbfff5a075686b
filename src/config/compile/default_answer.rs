//! `[module.default_answer]` → `DefaultAnswer`.

use super::Desk;
use crate::limits::DEFAULT_ANSWER_BYTES_MAX;
use crate::proto::field;
use crate::wall::default_answer::{DefaultAnswer, When};

pub(super) fn compile(desk: &mut Desk<'_>) -> Option<Box<DefaultAnswer>> {
    let section = desk.section;
    let when = match section.text("when") {
        "failure" => When::Failure,
        "always" => When::Always,
        _ => {
            if let Some(key) = ["status", "content_type", "body"].into_iter().find(|key| section.gives(key)) {
                desk.warn(
                    key,
                    format!("{key} has no effect: when is \"off\""),
                    "write when = \"failure\" or \"always\"",
                );
            }
            return None;
        }
    };
    let status = u16::try_from(section.int("status")).unwrap_or(200);
    let (content_type, body) = (section.text("content_type"), section.raw("body"));
    if content_type.bytes().any(|byte| !field::is_value_byte(byte)) {
        desk.error("content_type", "a header field cannot hold control characters".into(), "");
    }
    if body.len() > DEFAULT_ANSWER_BYTES_MAX {
        let message = format!("a body of {} bytes: {DEFAULT_ANSWER_BYTES_MAX} at most", body.len());
        desk.error("body", message, "answer long bodies from a service of their own");
    }
    if matches!(status, 204 | 304) && !body.is_empty() {
        desk.warn("body", format!("body has no effect: an answer of status {status} has none"), "");
    }
    Some(Box::new(DefaultAnswer { when, status, content_type: content_type.into(), body: body.as_bytes().into() }))
}
