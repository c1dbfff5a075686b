//! How an endpoint does, and when that changes.

use gatekeeper::worker::shard::dice::Dice;

/// How long health checks take to see that an endpoint is down, or back.
pub(crate) const NOTICED_US: u64 = 1_000_000;

/// How an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It answers.
    Healthy,
    /// It takes so many times as long.
    Slow(u64),
    /// It closes without an answer, at once.
    Failing,
    /// It answers nothing until the deadline.
    Hanging,
    /// It takes no connection, which health checks notice.
    Down,
}

/// What comes after what.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(Vec<(u64, Condition)>);

impl Schedule {
    /// Nothing ever happens.
    pub(crate) fn healthy() -> Self {
        Self(vec![(0, Condition::Healthy)])
    }

    /// All is well until then.
    pub(crate) fn from(at_us: u64, condition: Condition) -> Self {
        Self(vec![(0, Condition::Healthy), (at_us, condition)])
    }

    /// Faults by chance, the last of which is over at that time.
    pub(crate) fn random(seed: u64, endpoint: usize, until_us: u64) -> Self {
        let dice = Dice::new(seed << 8 | endpoint as u64);
        let mut changes = vec![(0, Condition::Healthy)];
        let mut at_us = 0;
        loop {
            at_us += 500_000 + dice.below(5_000_000);
            let fault = match dice.below(5) {
                0 => Condition::Slow(2 + dice.below(20)),
                1 => Condition::Failing,
                2 => Condition::Hanging,
                _ => Condition::Down,
            };
            let over_us = at_us + 200_000 + dice.below(4_000_000);
            if over_us > until_us {
                return Self(changes);
            }
            changes.extend([(at_us, fault), (over_us, Condition::Healthy)]);
            at_us = over_us;
        }
    }

    /// How it does at a time.
    pub(crate) fn at(&self, now_us: u64) -> Condition {
        let next = self.0.partition_point(|(from_us, _)| *from_us <= now_us);
        self.0[next - 1].1
    }

    /// Whether health checks say that it takes traffic.
    pub(crate) fn is_up(&self, now_us: u64) -> bool {
        self.at(now_us.saturating_sub(NOTICED_US)) != Condition::Down
    }
}
