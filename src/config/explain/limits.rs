//! What `explain` tells of a limit: whom it counts in this request, how many, and what becomes of more.

use super::story;
use crate::wall::limit::{By, Caller, Limit};

/// One line.
pub(super) fn told(limit: &Limit, caller: &Caller<'_>, legacy: bool) -> String {
    let mut decoded = Vec::new();
    let whom = match &limit.by {
        By::Client => "the client's address".to_owned(),
        By::Service => "all clients of the service".to_owned(),
        By::Endpoint => "the endpoint".to_owned(),
        By::Tenant => "the tenant at this service".to_owned(),
        By::Value(attribute) => match attribute.value(&caller.parts, &mut decoded) {
            Some(value) => format!("{attribute} = {}", story::text(value)),
            None => attribute.to_string(),
        },
    };
    let concerned = limit.by == By::Endpoint || limit.by.owner(caller, &mut Vec::new()).is_some();
    let rate = limit.rate;
    let window = match rate.window_s {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        seconds => format!("{seconds} s"),
    };
    let status = limit.by.end().status(legacy).unwrap_or_default();
    let wait = if limit.wait_ms > 0 { format!("wait up to {} ms, then ", limit.wait_ms) } else { String::new() };
    let dry_run = if limit.dry_run { ", in dry run" } else { "" };
    let concern = if concerned { "" } else { " (not of this request)" };
    format!("{} per {window} for {whom}, {} at once; more: {wait}{status}{dry_run}{concern}", rate.requests, rate.burst)
}
