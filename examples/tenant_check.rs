//! GateKeeper's tenant check as a filter: who calls is known by `app_id` and `sign` of the query, may call what its
//! `open_api` says, and is told onward by the group fields.
//!
//! The gateway does this itself for services with `open = 1` and app.toml; as a filter it shows how such a check is
//! written, with tenants from anywhere. The sign is the secret, as GateKeeper has it: use it where the way to the
//! gateway is trusted.
//!
//! ```text
//! [[module.filter]]
//! name = "tenant"
//! [[module.filter.options.tenants]]
//! app_id = "test_app"
//! secret = "62fda0f2212eaffbd1b9e1a9f2f5e2e8"
//! open_api = ["/gatekeeper/tester/"]
//! white_ips = ["127.0.0.9"]
//! group_id = 1
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::process::ExitCode;

use gatekeeper::Gateway;
use gatekeeper::filter::{HttpFilter, Refusal, Request, Verdict};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    tenants: Vec<Tenant>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenant {
    app_id: String,
    secret: String,
    open_api: Vec<String>,
    #[serde(default)]
    white_ips: Vec<IpAddr>,
    #[serde(default)]
    group_id: u64,
}

struct TenantCheck {
    tenants: HashMap<String, Tenant>,
}

impl HttpFilter for TenantCheck {
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        let app_id = request.query_value("app_id").filter(|id| !id.is_empty());
        let app_id = app_id.ok_or_else(|| Refusal::new(401, "AuthAppSign -error:app_id empty"))?;
        let tenant = self.tenants.get(&app_id).ok_or_else(|| Refusal::new(401, "AuthAppSign -error:unknown app_id"))?;
        let sign = request.query_value("sign").unwrap_or_default();
        if !tenant.white_ips.contains(&request.client()) && !same(sign.as_bytes(), tenant.secret.as_bytes()) {
            return Err(Refusal::new(401, "AuthAppSign -error:sign error"));
        }
        let path = request.path();
        if !tenant.open_api.iter().any(|prefix| path.starts_with(prefix.as_bytes())) {
            return Err(Refusal::new(403, "You don't have rights for this path"));
        }
        request.set("didi-header-usergroup", tenant.group_id.to_string())?;
        request.set("didi-header-usergroupkey", format!("gatekeeper_upm_{}", tenant.group_id))?;
        Ok(())
    }
}

/// In a time that does not tell where two texts differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn tenant_check(options: Options) -> Result<TenantCheck, String> {
    let mut tenants = HashMap::new();
    for tenant in options.tenants {
        if tenant.secret.len() < 16 {
            return Err(format!("the secret of {} has fewer than 16 characters", tenant.app_id));
        }
        if let Some(first) = tenants.insert(tenant.app_id.clone(), tenant) {
            return Err(format!("two tenants are called {}", first.app_id));
        }
    }
    Ok(TenantCheck { tenants })
}

fn main() -> ExitCode {
    Gateway::new().http_filter("tenant", tenant_check).main()
}
