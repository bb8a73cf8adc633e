//! The journal in SQLite: write-ahead log, `synchronous=FULL`, so a commit that has returned has been
//! synced to the disk (sqlite.org/pragma.html#pragma_synchronous; NORMAL may lose commits in WAL mode).
use super::{Entry, Journal, Query, ROWS_MAX, StoreError};
use andon_model::Time;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _, QueryBuilder, Row as _, Sqlite};
use std::path::Path;

/// Rows per INSERT: five columns each, well under SQLite's 32,766 parameters.
const ROWS_PER_INSERT: usize = 500;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS journal (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    json    TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS journal_subject ON journal (subject, seq);
CREATE TRIGGER IF NOT EXISTS journal_is_append_only_update BEFORE UPDATE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_is_append_only_delete BEFORE DELETE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
";

/// A journal in one SQLite file.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: SqliteConnection,
    open: bool,
}

impl SqliteJournal {
    /// Opens or makes the file, and checks that commits will be durable.
    /// # Errors
    /// [`StoreError::Open`].
    pub async fn open(path: &Path) -> Result<SqliteJournal, StoreError> {
        let failed = |why: sqlx::Error| StoreError::Open(why.to_string());
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await
            .map_err(failed)?;
        let level: i64 = pragma(&mut connection, "PRAGMA synchronous").await?;
        let mode: String = pragma(&mut connection, "PRAGMA journal_mode").await?;
        if level != 2 || mode != "wal" {
            return Err(StoreError::Open(format!(
                "synchronous is {level} and journal_mode {mode}; 2 (FULL) and wal are needed"
            )));
        }
        connection.execute(SCHEMA).await.map_err(failed)?;
        Ok(SqliteJournal { connection, open: false })
    }
}

async fn pragma<T>(connection: &mut SqliteConnection, text: &'static str) -> Result<T, StoreError>
where
    T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + Send + Unpin,
{
    let read = sqlx::query_scalar(text).fetch_one(connection).await;
    read.map_err(|why| StoreError::Open(why.to_string()))
}

/// SQLite's integers are signed; none of ours comes near 2^63.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Journal for SqliteJournal {
    async fn stage(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let failed = |why: sqlx::Error| StoreError::Append(why.to_string());
        if !self.open {
            self.connection.execute("BEGIN IMMEDIATE").await.map_err(failed)?;
            self.open = true;
        }
        for part in entries.chunks(ROWS_PER_INSERT) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO journal (seq, at_ms, kind, subject, json) ",
            );
            insert.push_values(part, |mut row, entry| {
                row.push_bind(integer(entry.seq))
                    .push_bind(integer(entry.at.0))
                    .push_bind(entry.kind.clone())
                    .push_bind(entry.subject.clone())
                    .push_bind(entry.json.clone());
            });
            insert.build().execute(&mut self.connection).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let done = self.connection.execute("COMMIT").await;
        done.map(|_| ()).map_err(|why| StoreError::Commit(why.to_string()))
    }

    async fn read(&mut self, query: &Query) -> Result<Vec<Entry>, StoreError> {
        let failed = |why: sqlx::Error| StoreError::Read(why.to_string());
        let mut select = QueryBuilder::<Sqlite>::new(
            "SELECT seq, at_ms, kind, subject, json FROM journal WHERE seq > ",
        );
        select.push_bind(integer(query.after));
        if let Some(subject) = &query.subject {
            select.push(" AND subject = ").push_bind(subject.clone());
        }
        select.push(" ORDER BY seq LIMIT ").push_bind(i64::from(query.limit.min(ROWS_MAX)));
        let rows = select.build().fetch_all(&mut self.connection).await.map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(Entry {
                    seq: unsigned(row.try_get(0)?),
                    at: Time(unsigned(row.try_get(1)?)),
                    kind: row.try_get(2)?,
                    subject: row.try_get(3)?,
                    json: row.try_get(4)?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> Entry {
        let text = |t: &str| t.to_owned();
        Entry { seq, at: Time(seq), kind: text("k"), subject: text("s"), json: text("{}") }
    }

    #[tokio::test]
    async fn commits_survive_reopening_and_a_number_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut journal = SqliteJournal::open(&path).await.unwrap();
        journal.stage(&[entry(1), entry(2)]).await.unwrap();
        journal.commit().await.unwrap();
        journal.stage(&[entry(3)]).await.unwrap(); // never committed
        drop(journal);
        let mut journal = SqliteJournal::open(&path).await.unwrap();
        let rows = journal.read(&Query { limit: 9, ..Query::default() }).await.unwrap();
        assert_eq!(rows, [entry(1), entry(2)]);
        assert!(matches!(journal.stage(&[entry(2)]).await, Err(StoreError::Append(_))));
    }

    /// Mutant: `SqliteSynchronous::Full` → `SqliteSynchronous::Normal` must fail here.
    #[tokio::test]
    async fn journal_is_synchronous_full_in_wal_mode_and_append_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&folder.path().join("j.db")).await.unwrap();
        let level: i64 = pragma(&mut journal.connection, "PRAGMA synchronous").await.unwrap();
        assert_eq!(level, 2, "2 is FULL: commits are synced");
        journal.stage(&[entry(1)]).await.unwrap();
        journal.commit().await.unwrap();
        for change in ["DELETE FROM journal", "UPDATE journal SET json = ''"] {
            assert!(journal.connection.execute(change).await.is_err(), "{change} was accepted");
        }
    }
}
