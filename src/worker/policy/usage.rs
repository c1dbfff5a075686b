//! What a tenant has left of its day, told on its answers.
//!
//! `X-Quota-Limit`, `X-Quota-Remaining`, `X-Quota-Reset` in seconds, where the tenant has a quota; `X-Rate-Limit`, requests per
//! second, where it has a rate. Out of scope: counting (`policy`), putting fields on answers (`dressing`).

use super::dressing::Dressing;
use crate::wall::calendar::Calendar;
use crate::wall::tenants::Tenant;
use crate::worker::shard::Shard;

/// Says it, after this request was counted.
pub fn tell(shard: &Shard, calendar: &Calendar, tenant: &Tenant, dressing: &Dressing) {
    let set = |name: &str, number: u64| {
        dressing.set(&shard.buffers, name.as_bytes(), itoa::Buffer::new().format(number).as_bytes());
    };
    if let Some(rate) = &tenant.rate {
        set("X-Rate-Limit", u64::from(rate.requests));
    }
    if let Some(quota) = &tenant.quota {
        let now_s = shard.clock.unix_s();
        set("X-Quota-Limit", quota.daily_max);
        set("X-Quota-Remaining", quota.daily_max.saturating_sub(quota.count.of(calendar.day(now_s))));
        set("X-Quota-Reset", calendar.day_ends_s(now_s).saturating_sub(now_s));
    }
}
