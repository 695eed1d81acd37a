//! What the sweepers ask of the database and write down in it.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use casewire_domain::{DedupeId, LineId, Progress};
use casewire_store::{Error, LineRow, Reconciliation, Store, StreamMark};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The sweepers' records: each operation one transaction, harmless to repeat.
#[async_trait]
pub trait Records: Send + Sync {
    /// Which of these events nobody has handled or set aside.
    async fn missing_events(&self, ids: &[DedupeId]) -> Result<Vec<DedupeId>, Error>;

    /// Takes a job for so long, or keeps it for so much longer; whether it is `holder`'s now.
    async fn take_lease(&self, job: &str, holder: Uuid, length: Duration) -> Result<bool, Error>;

    /// Lets go of a job.
    async fn end_lease(&self, job: &str, holder: Uuid) -> Result<(), Error>;

    /// How far this life of a stream is verified.
    async fn stream_mark(&self, stream: &str, life: &str) -> Result<Option<StreamMark>, Error>;

    /// Writes that down. Whether an earlier life of the stream is forgotten with it: it was lost since, and that is an
    /// open loss from the same moment on.
    async fn put_stream_mark(
        &self,
        stream: &str,
        life: &str,
        verified: u64,
        settled: u64,
    ) -> Result<bool, Error>;

    /// All lines.
    async fn lines(&self) -> Result<Vec<LineRow>, Error>;

    /// Up to when each line was compared with the provider's list.
    async fn listed_to(&self) -> Result<HashMap<LineId, DateTime<Utc>>, Error>;

    /// Writes that down for one. It never goes back.
    async fn put_listed_to(&self, line: LineId, to: DateTime<Utc>) -> Result<(), Error>;

    /// How far those of these texts have come that we sent through this account.
    async fn outbound_progress(
        &self,
        account_sid: &str,
        sids: &[String],
    ) -> Result<HashMap<String, Progress>, Error>;

    /// The oldest comparison somebody asked for and nobody has done, and from when on.
    async fn open_reconciliation(&self) -> Result<Option<(Uuid, DateTime<Utc>)>, Error>;

    /// Losses of streams that no comparison has made good yet.
    async fn open_losses(&self) -> Result<Vec<Uuid>, Error>;

    /// Writes a report, or how far it has come.
    async fn put_reconciliation(&self, report: Reconciliation) -> Result<(), Error>;

    /// The last comparison that ended and that no person asked for.
    async fn last_reconciliation(&self) -> Result<Option<Reconciliation>, Error>;
}

#[async_trait]
impl Records for Store {
    async fn missing_events(&self, ids: &[DedupeId]) -> Result<Vec<DedupeId>, Error> {
        Store::missing_events(self, ids).await
    }

    async fn take_lease(&self, job: &str, holder: Uuid, length: Duration) -> Result<bool, Error> {
        Store::take_lease(self, job, holder, length).await
    }

    async fn end_lease(&self, job: &str, holder: Uuid) -> Result<(), Error> {
        Store::end_lease(self, job, holder).await
    }

    async fn stream_mark(&self, stream: &str, life: &str) -> Result<Option<StreamMark>, Error> {
        Store::stream_mark(self, stream, life).await
    }

    async fn put_stream_mark(
        &self,
        stream: &str,
        life: &str,
        verified: u64,
        settled: u64,
    ) -> Result<bool, Error> {
        Store::put_stream_mark(self, stream, life, verified, settled).await
    }

    async fn lines(&self) -> Result<Vec<LineRow>, Error> {
        Store::lines(self).await
    }

    async fn listed_to(&self) -> Result<HashMap<LineId, DateTime<Utc>>, Error> {
        Store::listed_to(self).await
    }

    async fn put_listed_to(&self, line: LineId, to: DateTime<Utc>) -> Result<(), Error> {
        Store::put_listed_to(self, line, to).await
    }

    async fn outbound_progress(
        &self,
        account_sid: &str,
        sids: &[String],
    ) -> Result<HashMap<String, Progress>, Error> {
        Store::outbound_progress(self, account_sid, sids).await
    }

    async fn open_reconciliation(&self) -> Result<Option<(Uuid, DateTime<Utc>)>, Error> {
        Store::open_reconciliation(self).await
    }

    async fn open_losses(&self) -> Result<Vec<Uuid>, Error> {
        Store::open_losses(self).await
    }

    async fn put_reconciliation(&self, report: Reconciliation) -> Result<(), Error> {
        Store::put_reconciliation(self, report).await
    }

    async fn last_reconciliation(&self) -> Result<Option<Reconciliation>, Error> {
        Store::last_reconciliation(self).await
    }
}
