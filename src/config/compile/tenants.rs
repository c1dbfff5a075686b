//! app.toml → `Tenants`.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Desk, Page, rules, service};
use crate::config::source::Faults;
use crate::wall::quota::{DayCount, Quota};
use crate::wall::tenants::{Tenant, Tenants};

/// Secrets that everybody can read: those of GateKeeper's shipped files and the sample of ours.
const PUBLISHED_SECRETS: &[&str] =
    &["62fda0f2212eaffd90dbf04136768c5f", "f851a26357dd0dc1da58f21a172288be", "change-me-8d1f0c35"];

pub(super) fn compile(page: &Page, merge_slashes: bool, faults: &mut Faults) -> Tenants {
    let sections = page.root.many("authirized_apps");
    let mut first = HashMap::new();
    let mut tenants = Vec::with_capacity(sections.len());
    for section in sections {
        let mut desk = Desk { source: &page.source, section, faults: &mut *faults };
        let app_id = section.text("app_id");
        if !app_id.is_empty()
            && let Some(at) = first.insert(app_id, section.at("app_id"))
        {
            let line = page.source.position(at).0;
            desk.error("app_id", format!("the app_id `{app_id}` is taken by the tenant of line {line}"), "");
        }
        tenants.push(tenant(&mut desk, merge_slashes));
    }
    if let Some(section) = sections.first() {
        let message = "sign = secret: a tenant sends its secret itself, in the URL";
        faults.warn(&page.source, section.at("secret"), message, "use tenants over trusted networks only");
    }
    Tenants::new(tenants)
}

fn tenant(desk: &mut Desk<'_>, merge_slashes: bool) -> Tenant {
    let section = desk.section;
    let app_id = section.text("app_id");
    if PUBLISHED_SECRETS.contains(&section.raw("secret")) {
        desk.warn("secret", format!("the secret of `{app_id}` is a published sample"), "write a random one");
    }
    let allowed = desk.each("open_api", |text| {
        if text.is_empty() {
            return Err(("an empty item".into(), "remove the comma; / allows every path"));
        }
        rules::prefix(text, merge_slashes)
    });
    if !section.gives("open_api") || section.text("open_api").is_empty() {
        desk.warn("open_api", format!("open_api of `{app_id}` is empty: the tenant may call nothing"), "");
    }
    Tenant {
        app_id: app_id.into(),
        name: section.text("name").into(),
        secret: section.raw("secret").into(),
        allowed: allowed.into(),
        white: desk.addresses("white_ips"),
        rate: service::rate(section.int_u32("qps")),
        quota: quota(section.int("total_query_daily")),
        group_id: section.int("group_id").unsigned_abs(),
    }
}

/// A count of its own until control has found the one of the configuration before.
fn quota(daily_max: i64) -> Option<Quota> {
    let daily_max = u64::try_from(daily_max).ok().filter(|max| *max > 0)?;
    Some(Quota { daily_max, count: Arc::new(DayCount::default()) })
}
