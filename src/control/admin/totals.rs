//! The shape of `/api/totals`: what was kept of past days and hours. Keys are only ever added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::books::Asked;
use crate::control::store::Past;
use crate::control::totals::{Key, Kind};
use crate::limits::TOTALS_DAYS_ASKED;
use crate::wall::calendar::Day;

/// What may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    days: Option<u32>,
    kind: Option<String>,
    name: Option<String>,
}

impl Query {
    /// As the books want it.
    pub(super) fn asked(self) -> Result<Asked, &'static str> {
        let kind = match self.kind.as_deref().map(Kind::of) {
            Some(None) => return Err("`kind` is service or tenant"),
            known => known.flatten(),
        };
        match self.days.unwrap_or(TOTALS_DAYS_ASKED) {
            0 => Err("`days` is a number from 1: today, and so many before it"),
            days => Ok(Asked { days, kind, name: self.name }),
        }
    }
}

/// The page.
#[derive(Serialize)]
pub(super) struct Totals {
    today: String,
    days: Vec<Row>,
    hours: Vec<Row>,
    /// There is more than one page holds; ask for fewer days, or for one name.
    cut: bool,
}

#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts: Option<String>,
    kind: &'static str,
    name: Box<str>,
    total: u64,
}

impl Totals {
    /// Of what was kept.
    pub(super) fn of(past: Past, today: Day) -> Self {
        let day =
            |(day, Key { kind, name }, total)| Row { day: Some(day), starts: None, kind: kind.word(), name, total };
        let hour = |(starts_s, Key { kind, name }, total)| Row {
            day: None,
            starts: Some(rfc_3339(starts_s)),
            kind: kind.word(),
            name,
            total,
        };
        Self {
            today: today.to_string(),
            days: past.days.into_iter().map(day).collect(),
            hours: past.hours.into_iter().map(hour).collect(),
            cut: past.cut,
        }
    }
}

fn rfc_3339(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|unix_s| Timestamp::from_second(unix_s).ok());
    time.unwrap_or_default().to_string()
}
