//! Reading back what was kept of days and hours, within a bound.

use sqlx::Row;

use super::{Store, Trouble, key, signed, unsigned};
use crate::control::totals::{Key, Kind};
use crate::limits::TOTALS_ROWS_MAX;
use crate::wall::calendar::Day;

/// Which totals are wanted.
#[derive(Clone, Debug)]
pub(in crate::control) struct Wanted {
    /// This day and those after it.
    pub(in crate::control) first_day: Day,
    /// The hour that began then, in seconds since 1970, and those after it.
    pub(in crate::control) first_hour_s: u64,
    /// Only of services, or only of tenants.
    pub(in crate::control) kind: Option<Kind>,
    /// Only of the one of this name.
    pub(in crate::control) name: Option<String>,
}

/// What was kept, the youngest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::control) struct Past {
    /// Dates with their totals.
    pub(in crate::control) days: Vec<(String, Key, u64)>,
    /// Hours, by the second since 1970 in which they began.
    pub(in crate::control) hours: Vec<(u64, Key, u64)>,
    /// There is more than one answer may hold.
    pub(in crate::control) cut: bool,
}

impl Store {
    /// What was kept of these.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::control) async fn past(&mut self, wanted: &Wanted) -> Result<Past, Trouble> {
        let mut past = Past::default();
        for row in self.rows("day_totals", "day", wanted.first_day.to_string(), wanted).await? {
            past.days.push((row.try_get(3)?, key(&row)?, unsigned(row.try_get(2)?)));
        }
        for row in self.rows("hour_totals", "hour_s", signed(wanted.first_hour_s), wanted).await? {
            past.hours.push((unsigned(row.try_get(3)?), key(&row)?, unsigned(row.try_get(2)?)));
        }
        past.cut = past.days.len() > TOTALS_ROWS_MAX || past.hours.len() > TOTALS_ROWS_MAX;
        past.days.truncate(TOTALS_ROWS_MAX);
        past.hours.truncate(TOTALS_ROWS_MAX);
        Ok(past)
    }

    async fn rows<'q, F>(
        &mut self,
        table: &str,
        column: &str,
        first: F,
        wanted: &'q Wanted,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>, Trouble>
    where
        F: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + 'q,
    {
        let text = format!(
            "SELECT kind, name, total, {column} FROM {table} WHERE {column} >= ?1 AND (?2 IS NULL OR kind = ?2) \
             AND (?3 IS NULL OR name = ?3) ORDER BY {column} DESC, kind, name LIMIT ?4"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(first).bind(wanted.kind.map(Kind::word));
        let query = query.bind(&wanted.name).bind(signed(TOTALS_ROWS_MAX as u64 + 1));
        Ok(query.fetch_all(&mut self.connection).await?)
    }
}
