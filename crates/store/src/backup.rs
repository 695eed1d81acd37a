//! A copy of the database's file, made while others write; and the request for one of the stream's, which is another
//! process's.

use std::path::Path;

use chrono::TimeDelta;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Statement};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use crate::Store;
use crate::entity::request;
use crate::error::Error;
use crate::request::ask;

/// The kind of request that asks for a copy of the stream.
const STREAM_COPY: &str = "copy stream";

/// How long somebody may wait for one.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// What is said of a request for a copy when there is one; anything else is why there is none.
pub const COPIED: &str = "copied";

impl Store {
    /// Asks the process that has the stream's file for a copy of it; the request's id.
    pub async fn request_stream_copy(&self) -> Result<Uuid, Error> {
        self.in_tx(|tx, inner| Box::pin(ask(tx, inner, STREAM_COPY, String::new()))).await
    }

    /// The oldest such request of the last minute that nobody has done yet: who made an older one has stopped waiting.
    pub async fn open_stream_copy(&self) -> Result<Option<Uuid>, Error> {
        let found = request::Entity::find()
            .filter(Expr::cust("done_at is null"))
            .filter(request::Column::Kind.eq(STREAM_COPY))
            .filter(request::Column::CreatedAt.gt((self.inner.clock)() - PATIENCE))
            .order_by_asc(request::Column::CreatedAt)
            .one(&self.inner.connections.reader);
        Ok(self.in_time(async { Ok(found.await?) }).await?.map(|row| row.id))
    }

    /// Copies the database, as it is at one moment, into a new file. Others go on reading and writing; the copy is not
    /// brought to the disk. It takes as long as it takes: seconds for a gigabyte.
    ///
    /// # Errors
    /// [`Error::Invalid`] for PostgreSQL, which has tools of its own.
    pub async fn copy_to(&self, file: &Path) -> Result<(), Error> {
        if self.inner.connections.is_postgres() {
            return Err(Error::Invalid(
                "a PostgreSQL database is backed up with its own tools: pg_dump --format=custom (see docs/backup.md)"
                    .to_owned(),
            ));
        }
        let name = file.to_str().ok_or_else(|| Error::Invalid("the copy's path is no text".to_owned()))?;
        let connection = &self.inner.connections.reader;
        let copy = Statement::from_sql_and_values(
            connection.get_database_backend(),
            "vacuum into $1",
            [name.into()],
        );
        connection.execute_raw(copy).await?;
        Ok(())
    }
}

/// Reads a whole SQLite file that nobody writes, and says what is damaged in it.
pub async fn check_file(file: &Path) -> Result<(), Error> {
    let unreadable = |error: sqlx::Error| {
        Error::Invalid(format!("{} cannot be read as a database: {}", file.display(), said(&error)))
    };
    let open = SqliteConnectOptions::new().filename(file).immutable(true).disable_statement_logging();
    let mut connection = open.connect().await.map_err(unreadable)?;
    let found: sqlx::Result<String> =
        sqlx::query_scalar("pragma integrity_check(1)").fetch_one(&mut connection).await;
    // Nothing was written that closing could lose.
    let _ = connection.close().await;
    match found.map_err(unreadable)? {
        sound if sound == "ok" => Ok(()),
        damage => {
            let damage: Vec<_> = damage.split_whitespace().collect();
            Err(Error::Invalid(format!("{} is damaged: {}", file.display(), damage.join(" "))))
        }
    }
}

fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
