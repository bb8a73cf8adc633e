//! The server's journal, read from its database file by a reader that is not the server.
use andon_model::Time;
use anyhow::{Context as _, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};
use std::path::Path;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// number
    pub seq: i64,
    /// when it was taken down
    pub at: Time,
    /// kind of record
    pub kind: String,
    /// whom it is about
    pub subject: String,
    /// the record
    pub json: String,
}

/// All rows, in order. A file that has no journal in it yet has no rows.
/// # Errors
/// When the file is no database, or is damaged.
pub fn rows(path: &Path) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start a reader")?.block_on(read(path))
}

/// Tells what is written down differently, as only somebody with the server's disk can: its own journal
/// refuses to.
/// # Errors
/// When nothing was changed, or the file is no journal.
pub fn rewrite(path: &Path, from: &str, to: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start a writer")?.block_on(async {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
        let mut database: SqliteConnection =
            options.connect().await.with_context(|| format!("open {}", path.display()))?;
        sqlx::query("DROP TRIGGER journal_is_append_only_update")
            .execute(&mut database)
            .await
            .context("take the guard off the journal")?;
        let told = "UPDATE journal SET json = replace(json, ?1, ?2) WHERE instr(json, ?1) > 0";
        let changed = sqlx::query(told).bind(from).bind(to).execute(&mut database).await;
        let rows = changed.context("rewrite the journal")?.rows_affected();
        anyhow::ensure!(rows > 0, "no row says {from}");
        Ok(())
    })
}

async fn read(path: &Path) -> Result<Vec<Row>> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
    let mut database: SqliteConnection =
        options.connect().await.with_context(|| format!("open {}", path.display()))?;
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut database)
        .await
        .context("check the database")?;
    anyhow::ensure!(sound == "ok", "{} is damaged: {sound}", path.display());
    let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'journal'";
    let there: i64 =
        sqlx::query_scalar(table).fetch_one(&mut database).await.context("look for the table")?;
    if there == 0 {
        return Ok(Vec::new());
    }
    let all = sqlx::query("SELECT seq, at_ms, kind, subject, json FROM journal ORDER BY seq");
    let rows = all.fetch_all(&mut database).await.context("read the journal")?;
    rows.iter()
        .map(|row| {
            Ok(Row {
                seq: row.try_get(0)?,
                at: Time(row.try_get::<i64, _>(1)?.unsigned_abs()),
                kind: row.try_get(2)?,
                subject: row.try_get(3)?,
                json: row.try_get(4)?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .context("read a row")
}
