//! What a worker asks of the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use casewire_domain::MessageId;
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::directory::Directory;
use casewire_store::{
    Claim, Claims, Error, Held, LookFor, OutboxDepth, ReplayRequest, Standing, Store, Unsettled,
};
use uuid::Uuid;

/// The database as a worker sees it: each operation one transaction, committed when it returns. After an error
/// that is retryable it may have been committed all the same; asking again is harmless.
#[async_trait]
pub trait Database: Send + Sync {
    /// Decides a batch of commands in their order, all or nothing: an outcome for each.
    async fn handle(&self, commands: Arc<[Command]>) -> Result<Vec<Outcome>, Error>;

    /// Makes a small write, to learn whether the database is well: an error also where that takes much longer than it
    /// should. Then what was too slow is nobody's own fault.
    async fn probe(&self) -> Result<(), Error>;

    /// Takes texts that may be sent now; their attempts are begun.
    async fn claim(&self, claim: Claim) -> Result<Claims, Error>;

    /// At most so many texts whose attempt was begun by a process that is gone, with the attempt.
    async fn lost_attempts(&self, most: u64) -> Result<Vec<(MessageId, u32)>, Error>;

    /// Takes uncertain texts that are to be looked for on the provider's list now.
    async fn due_uncertain(&self, look: LookFor) -> Result<Vec<Unsettled>, Error>;

    /// At most so many statuses, in their wire form, that came before their text was known and can be handled now.
    /// None that was received longer ago than `patience`.
    async fn ripe_statuses(&self, most: u64, patience: Duration) -> Result<Vec<Vec<u8>>, Error>;

    /// At most so many dead letters that somebody wants handled again.
    async fn open_replays(&self, most: u64) -> Result<Vec<ReplayRequest>, Error>;

    /// Takes such a request on, before it is done: whoever ends with it is the only one. Whether it was to be had.
    async fn begin_request(&self, id: Uuid) -> Result<bool, Error>;

    /// Says what came of such a request.
    async fn finish_request(&self, id: Uuid, outcome: String) -> Result<(), Error>;

    /// The directory's version: it grows with every change of an account or a line.
    async fn directory_version(&self) -> Result<i64, Error>;

    /// The directory, as ingest is given it.
    async fn directory(&self) -> Result<Directory, Error>;

    /// What the outbox holds.
    async fn outbox_depth(&self) -> Result<OutboxDepth, Error>;

    /// How many dead letters there are, and since when.
    async fn dead_letter_depth(&self) -> Result<Held, Error>;

    /// How cases stand.
    async fn standing(&self) -> Result<Standing, Error>;
}

#[async_trait]
impl Database for Store {
    async fn handle(&self, commands: Arc<[Command]>) -> Result<Vec<Outcome>, Error> {
        Store::handle(self, commands).await
    }

    async fn probe(&self) -> Result<(), Error> {
        Store::probe(self).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, Error> {
        Store::claim(self, claim).await
    }

    async fn lost_attempts(&self, most: u64) -> Result<Vec<(MessageId, u32)>, Error> {
        Store::lost_attempts(self, most).await
    }

    async fn due_uncertain(&self, look: LookFor) -> Result<Vec<Unsettled>, Error> {
        Store::due_uncertain(self, look).await
    }

    async fn ripe_statuses(&self, most: u64, patience: Duration) -> Result<Vec<Vec<u8>>, Error> {
        Store::ripe_statuses(self, most, patience).await
    }

    async fn open_replays(&self, most: u64) -> Result<Vec<ReplayRequest>, Error> {
        Store::open_replays(self, most).await
    }

    async fn begin_request(&self, id: Uuid) -> Result<bool, Error> {
        Store::begin_request(self, id).await
    }

    async fn finish_request(&self, id: Uuid, outcome: String) -> Result<(), Error> {
        Store::finish_request(self, id, outcome).await
    }

    async fn directory_version(&self) -> Result<i64, Error> {
        Store::directory_version(self).await
    }

    async fn directory(&self) -> Result<Directory, Error> {
        Store::directory(self).await
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth, Error> {
        Store::outbox_depth(self).await
    }

    async fn dead_letter_depth(&self) -> Result<Held, Error> {
        Store::dead_letter_depth(self).await
    }

    async fn standing(&self) -> Result<Standing, Error> {
        Store::standing(self).await
    }
}
