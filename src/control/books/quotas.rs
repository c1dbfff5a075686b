//! What of the tenants' daily quotas the store knows, and what it has to be told. Pure.
//!
//! The count that workers take from and the store's are brought together: what was taken here since the last time is
//! added there, and what others have added there meanwhile is added here.

use std::collections::HashMap;

use crate::wall::calendar::Day;
use crate::wall::tenants::Tenant;

/// The store's count of each tenant, as of the last time.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    day: Day,
    known: HashMap<Box<str>, u64>,
}

impl Quotas {
    /// The calls of today that the store does not know.
    pub(super) fn grown(&mut self, tenants: &[Tenant], today: Day) -> Vec<(Box<str>, u64)> {
        if self.day != today {
            *self = Self { day: today, known: HashMap::new() };
        }
        let grown = tenants.iter().filter_map(|tenant| {
            let (day, count) = tenant.quota.as_ref()?.count.seen();
            let known = self.known.get(&tenant.app_id).copied().unwrap_or(0);
            let new = if day == today { count.saturating_sub(known) } else { 0 };
            (new > 0).then(|| (tenant.app_id.clone(), new))
        });
        grown.collect()
    }

    /// The store has taken these, and this is what it has in all.
    pub(super) fn settle(
        &mut self,
        tenants: &[Tenant],
        today: Day,
        taken: &[(Box<str>, u64)],
        used: &HashMap<Box<str>, u64>,
    ) {
        let taken: HashMap<&str, u64> = taken.iter().map(|(name, calls)| (&**name, *calls)).collect();
        for tenant in tenants {
            let (Some(quota), Some(&in_all)) = (&tenant.quota, used.get(&tenant.app_id)) else { continue };
            let known = self.known.entry(tenant.app_id.clone()).or_default();
            let ours = *known + taken.get(&*tenant.app_id).copied().unwrap_or(0);
            if in_all > ours {
                quota.count.add(today, in_all - ours);
            }
            *known = in_all.max(ours);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wall::access::AddressSet;
    use crate::wall::quota::{DayCount, Quota};

    const TODAY: Day = Day(100);

    fn tenants() -> Vec<Tenant> {
        vec![Tenant {
            app_id: "shop".into(),
            name: "".into(),
            secret: "".into(),
            signing: None,
            allowed: [].into(),
            white: AddressSet::new(Vec::new()),
            rate: None,
            quota: Some(Quota { daily_max: 1_000, count: Arc::new(DayCount::default()) }),
            usage_told: false,
            group_id: 0,
        }]
    }

    fn take(tenants: &[Tenant], day: Day, calls: usize) {
        let quota = tenants[0].quota.as_ref().expect("has one");
        assert!((0..calls).all(|_| quota.count.take(day, quota.daily_max)));
    }

    fn count(tenants: &[Tenant], day: Day) -> u64 {
        tenants[0].quota.as_ref().expect("has one").count.of(day)
    }

    /// The store, in memory.
    fn sync(quotas: &mut Quotas, tenants: &[Tenant], day: Day, stored: &mut u64) -> u64 {
        let grown = quotas.grown(tenants, day);
        let told = grown.iter().map(|(_, calls)| calls).sum();
        *stored += told;
        quotas.settle(tenants, day, &grown, &[("shop".into(), *stored)].into());
        told
    }

    #[test]
    fn what_was_used_before_the_start_counts_and_is_not_told_again() {
        let (mut quotas, tenants, mut stored) = (Quotas::default(), tenants(), 40);
        take(&tenants, TODAY, 2);
        assert_eq!(sync(&mut quotas, &tenants, TODAY, &mut stored), 2);
        assert_eq!((count(&tenants, TODAY), stored), (42, 42));
        take(&tenants, TODAY, 1);
        assert_eq!(sync(&mut quotas, &tenants, TODAY, &mut stored), 1);
        assert_eq!(sync(&mut quotas, &tenants, TODAY, &mut stored), 0);
        assert_eq!((count(&tenants, TODAY), stored), (43, 43));
    }

    #[test]
    fn two_processes_come_to_the_same_count() {
        let mut stored = 0;
        let mut both = [(Quotas::default(), tenants()), (Quotas::default(), tenants())];
        for round in 1..=5 {
            for (quotas, tenants) in &mut both {
                take(tenants, TODAY, round);
                sync(quotas, tenants, TODAY, &mut stored);
            }
        }
        sync(&mut both[0].0, &both[0].1, TODAY, &mut stored);
        assert_eq!([count(&both[0].1, TODAY), count(&both[1].1, TODAY), stored], [30; 3]);
    }

    #[test]
    fn a_new_day_is_told_from_its_first_call() {
        let (mut quotas, tenants, mut stored) = (Quotas::default(), tenants(), 0);
        take(&tenants, TODAY, 5);
        sync(&mut quotas, &tenants, TODAY, &mut stored);
        let tomorrow = Day(TODAY.0 + 1);
        take(&tenants, tomorrow, 1);
        let mut stored = 0;
        assert_eq!(sync(&mut quotas, &tenants, tomorrow, &mut stored), 1);
        assert_eq!(count(&tenants, tomorrow), 1);
    }
}
