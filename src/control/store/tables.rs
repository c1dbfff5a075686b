//! The tables of the store, and the steps that lead from an older shape to this one.
//!
//! `PRAGMA user_version` says how many of the steps a file has taken. A step that has been released is never changed;
//! another one follows it.

use sqlx::{Connection, Row, SqliteConnection};

use super::Trouble;

/// From nothing to today. Days are written as dates, which sort as text; hours as the second they began.
const STEPS: &[&str] = &["CREATE TABLE day_totals (
    day TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, total INTEGER NOT NULL,
    PRIMARY KEY (day, kind, name)
) WITHOUT ROWID;
CREATE TABLE hour_totals (
    hour_s INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, total INTEGER NOT NULL,
    PRIMARY KEY (hour_s, kind, name)
) WITHOUT ROWID;
CREATE TABLE quotas (
    day TEXT NOT NULL, tenant TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (day, tenant)
) WITHOUT ROWID;
PRAGMA user_version = 1;"];

/// Takes the steps that the file has not taken.
pub(super) async fn bring_up_to_date(connection: &mut SqliteConnection) -> Result<(), Trouble> {
    let mut step = connection.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *step).await?.try_get(0)?;
    let taken = usize::try_from(version).ok().filter(|taken| *taken <= STEPS.len()).ok_or(Trouble::Newer(version))?;
    for sql in &STEPS[taken..] {
        sqlx::raw_sql(*sql).execute(&mut *step).await?;
    }
    step.commit().await?;
    Ok(())
}
