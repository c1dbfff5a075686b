//! The embedded store: a SQLite file that keeps totals of days and hours and the tenants' daily quotas.
//!
//! In scope: opening it, putting a damaged one aside, adding to it, reading back, forgetting what is old. Everything
//! here may wait for a disk, so it is used from the books' own thread only. Every change is an addition, so that two
//! processes, as in an upgrade, may write to the same file. Out of scope: what is added when (`control::books`), the
//! shape of the tables (`tables`).

mod past;
mod tables;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use tracing::{info, warn};

pub(super) use self::past::{Past, Wanted};
use super::totals::{Key, Kind, Span, Sum};
use crate::limits::{STORE_BUSY_MS, STORE_ROWS_AT_ONCE};
use crate::wall::calendar::Day;

/// An open store.
pub(super) struct Store {
    path: PathBuf,
    connection: SqliteConnection,
}

/// Why it cannot be used now.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the file holds makes no sense.
    Damaged(String),
    /// It was made by a later version of the gateway, which this one must not write to.
    Newer(i64),
    /// Anything else: locked, full, not writable.
    Refused(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => write!(f, "it is damaged: {why}"),
            Self::Newer(version) => write!(f, "a later gateway has made it (version {version}); it is left alone"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        const CORRUPT: &str = "11";
        const NOT_A_DATABASE: &str = "26";
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(|code| {
            // The lower byte of an extended code is its class.
            code.parse::<u32>().map_or(code.into_owned(), |code| (code & 0xff).to_string())
        });
        let text = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        match code.as_deref() {
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged(text),
            _ => Self::Refused(text),
        }
    }
}

impl Store {
    /// Opens the file, or makes it. One that is damaged is put aside, and a new one takes its place.
    ///
    /// # Errors
    /// When there is no using it.
    pub(super) async fn open(path: &Path) -> Result<Self, Trouble> {
        match Self::try_open(path).await {
            Err(Trouble::Damaged(why)) => {
                let aside = put_aside(path).map_err(|error| {
                    Trouble::Refused(format!("damaged ({why}), and it cannot be put aside: {error}"))
                })?;
                warn!(
                    "the store {} is damaged ({why}); it is {} now, and a new one begins",
                    path.display(),
                    aside.display()
                );
                Self::try_open(path).await
            }
            opened => opened,
        }
    }

    async fn try_open(path: &Path) -> Result<Self, Trouble> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut may take the last seconds; a crash of the process takes nothing.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_millis(STORE_BUSY_MS))
            .thread_name(|_| "store".to_owned())
            .disable_statement_logging();
        let connection = options.connect().await?;
        let mut store = Self { path: path.to_owned(), connection };
        tables::bring_up_to_date(&mut store.connection).await?;
        Ok(store)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds to totals, all or none.
    ///
    /// # Errors
    /// When nothing was added.
    pub(super) async fn add(&mut self, sums: &[(Key, Span, u64)]) -> Result<(), Trouble> {
        let mut step = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for (table, column, is_in) in [
            ("day_totals", "day", (|span: &Span| matches!(span, Span::Day(_))) as fn(&Span) -> bool),
            ("hour_totals", "hour_s", |span: &Span| matches!(span, Span::Hour(_))),
        ] {
            let rows: Vec<_> = sums.iter().filter(|(_, span, _)| is_in(span)).collect();
            for rows in rows.chunks(STORE_ROWS_AT_ONCE) {
                let mut query =
                    QueryBuilder::<Sqlite>::new(format!("INSERT INTO {table} ({column}, kind, name, total) "));
                query.push_values(rows, |mut row, (key, span, total)| {
                    match span {
                        Span::Day(day) => row.push_bind(day.to_string()),
                        Span::Hour(starts_s) => row.push_bind(signed(*starts_s)),
                    };
                    row.push_bind(key.kind.word()).push_bind(key.name.to_string()).push_bind(signed(*total));
                });
                query.push(" ON CONFLICT DO UPDATE SET total = total + excluded.total");
                query.build().execute(&mut *step).await?;
            }
        }
        step.commit().await?;
        Ok(())
    }

    /// Adds calls to the quotas of a day; what every process together has counted on it.
    ///
    /// # Errors
    /// When nothing was added.
    pub(super) async fn count_quotas(
        &mut self,
        day: Day,
        calls: &[(Box<str>, u64)],
    ) -> Result<HashMap<Box<str>, u64>, Trouble> {
        let mut step = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for rows in calls.chunks(STORE_ROWS_AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO quotas (day, tenant, used) ");
            query.push_values(rows, |mut row, (tenant, used)| {
                row.push_bind(day.to_string()).push_bind(tenant.to_string()).push_bind(signed(*used));
            });
            query.push(" ON CONFLICT DO UPDATE SET used = used + excluded.used");
            query.build().execute(&mut *step).await?;
        }
        let query = sqlx::query("SELECT tenant, used FROM quotas WHERE day = ?").bind(day.to_string());
        let rows = query.fetch_all(&mut *step).await?;
        step.commit().await?;
        rows.iter().map(|row| Ok((row.try_get::<String, _>(0)?.into(), unsigned(row.try_get(1)?)))).collect()
    }

    /// What is kept of a day and of an hour.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn read(&mut self, day: Day, hour_s: u64) -> Result<HashMap<Key, Sum>, Trouble> {
        let mut found = HashMap::<Key, Sum>::new();
        let query = sqlx::query("SELECT kind, name, total FROM day_totals WHERE day = ?").bind(day.to_string());
        for row in query.fetch_all(&mut self.connection).await? {
            found.entry(key(&row)?).or_default().day = unsigned(row.try_get(2)?);
        }
        let query = sqlx::query("SELECT kind, name, total FROM hour_totals WHERE hour_s = ?").bind(signed(hour_s));
        for row in query.fetch_all(&mut self.connection).await? {
            found.entry(key(&row)?).or_default().hour = unsigned(row.try_get(2)?);
        }
        Ok(found)
    }

    /// Forgets the days before this one, the hours that began before this moment, and quotas of days gone by.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub(super) async fn forget(&mut self, first_day: Day, first_hour_s: u64, today: Day) -> Result<(), Trouble> {
        let mut step = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let days = sqlx::query("DELETE FROM day_totals WHERE day < ?").bind(first_day.to_string());
        let days = days.execute(&mut *step).await?.rows_affected();
        let hours = sqlx::query("DELETE FROM hour_totals WHERE hour_s < ?").bind(signed(first_hour_s));
        let hours = hours.execute(&mut *step).await?.rows_affected();
        let yesterday = Day(today.0.saturating_sub(1)).to_string();
        sqlx::query("DELETE FROM quotas WHERE day < ?").bind(yesterday).execute(&mut *step).await?;
        step.commit().await?;
        if days + hours > 0 {
            info!("the store has let go of {days} totals of days and {hours} of hours");
        }
        Ok(())
    }

    /// Closes the file and takes the log of changes into it.
    pub(super) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            warn!("the store {} is not closed well: {error}", self.path.display());
        }
    }
}

fn key(row: &sqlx::sqlite::SqliteRow) -> Result<Key, Trouble> {
    let (kind, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let kind = Kind::of(&kind).ok_or_else(|| Trouble::Damaged(format!("`{kind}` is no kind of total")))?;
    Ok(Key { kind, name: name.into() })
}

/// SQLite's numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Renames a file that is of no use, with what SQLite keeps beside it. One that was put aside before makes room.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let aside = beside(".damaged");
    std::fs::rename(path, &aside)?;
    for end in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

#[cfg(test)]
mod tests;
