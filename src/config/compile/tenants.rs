//! app.toml → `Tenants`.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Desk, Page, rules, service};
use crate::config::source::Faults;
use crate::wall::quota::{DayCount, Quota};
use crate::wall::signing::Signing;
use crate::wall::tenants::{Tenant, Tenants};

/// Secrets that everybody can read: those of GateKeeper's shipped files and the sample of ours.
const PUBLISHED_SECRETS: &[&str] =
    &["62fda0f2212eaffd90dbf04136768c5f", "f851a26357dd0dc1da58f21a172288be", "change-me-8d1f0c35"];

/// A shorter key of signatures is warned of.
const SECRET_BYTES_SENSIBLE: usize = 16;

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
    if let Some(section) = sections.iter().find(|section| section.text("sign_method") == "secret") {
        let message = "sign = secret: a tenant sends its secret itself, in the URL, where logs and proxies see it";
        let help = "sign_method = \"hmac-sha256\" signs each request instead; or keep to trusted networks";
        faults.warn(&page.source, section.at("secret"), message, help);
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
        signing: signing(desk),
        allowed: allowed.into(),
        white: desk.addresses("white_ips"),
        rate: service::rate(section.int_u32("qps")),
        quota: quota(section.int("total_query_daily")),
        usage_told: section.flag("usage_headers"),
        group_id: section.int("group_id").unsigned_abs(),
    }
}

/// How it signs, where it does.
fn signing(desk: &mut Desk<'_>) -> Option<Signing> {
    let section = desk.section;
    if section.text("sign_method") != "hmac-sha256" {
        return None;
    }
    let app_id = section.text("app_id");
    if app_id.contains(|letter: char| letter == ',' || letter.is_whitespace()) {
        let message = format!("the app_id `{app_id}` cannot stand in a signature");
        desk.error("app_id", message, "a tenant that signs has neither comma nor blank in its app_id");
    }
    let secret = section.raw("secret");
    if secret.len() < SECRET_BYTES_SENSIBLE {
        let message = format!("the secret of `{app_id}` is short: it can be guessed from one signed request");
        desk.warn("secret", message, "write 32 random letters and digits or more");
    }
    Some(Signing::new(secret.as_bytes(), u64::from(section.int_u32("sign_window"))))
}

/// A count of its own until control has found the one of the configuration before.
fn quota(daily_max: i64) -> Option<Quota> {
    let daily_max = u64::try_from(daily_max).ok().filter(|max| *max > 0)?;
    Some(Quota { daily_max, count: Arc::new(DayCount::default()) })
}
