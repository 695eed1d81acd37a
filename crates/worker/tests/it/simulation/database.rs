//! The database as one process sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use casewire_domain::MessageId;
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::directory::Directory;
use casewire_store::{Claim, Claims, Error, Held, LookFor, OutboxDepth, ReplayRequest, Standing, Unsettled};
use casewire_worker::Database;
use uuid::Uuid;

use super::world::{Process, World};

pub(crate) struct SimDatabase(pub(crate) Process);

impl SimDatabase {
    async fn asks<T>(&self, what: &'static str, effect: impl FnOnce(&mut World) -> T) -> Result<T, Error> {
        self.0.asks(what, |weather| weather.database, effect).await.ok_or(Error::Interrupted)
    }
}

#[async_trait]
impl Database for SimDatabase {
    async fn handle(&self, commands: Arc<[Command]>) -> Result<Vec<Outcome>, Error> {
        let handle = |world: &mut World| {
            let at = world.database_now();
            let outcomes = world.tables.handle(&commands, at);
            world.note("decided", outcomes.len() as u64);
            outcomes
        };
        self.asks("handle", handle).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.asks("probe", |_| ()).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, Error> {
        let claims = |world: &mut World| {
            let at = world.database_now();
            let messages = world.tables.claim(&claim, at);
            world.note("claimed", messages.len() as u64);
            Claims { messages, again_in: None }
        };
        self.asks("claim", claims).await
    }

    async fn lost_attempts(&self, _: u64) -> Result<Vec<(MessageId, u32)>, Error> {
        self.asks("lost attempts", |world| world.tables.lost_attempts(world.database_now())).await
    }

    async fn due_uncertain(&self, look: LookFor) -> Result<Vec<Unsettled>, Error> {
        let due = |world: &mut World| {
            let at = world.database_now();
            world.tables.due_uncertain(&look, at)
        };
        self.asks("due uncertain", due).await
    }

    async fn ripe_statuses(&self, _: u64, _: Duration) -> Result<Vec<Vec<u8>>, Error> {
        self.asks("ripe statuses", |world| world.tables.ripe_statuses()).await
    }

    async fn open_replays(&self, _: u64) -> Result<Vec<ReplayRequest>, Error> {
        Ok(Vec::new())
    }

    async fn begin_request(&self, _: Uuid) -> Result<bool, Error> {
        Ok(true)
    }

    async fn finish_request(&self, _: Uuid, _: String) -> Result<(), Error> {
        Ok(())
    }

    async fn directory_version(&self) -> Result<i64, Error> {
        self.asks("directory version", |_| 1).await
    }

    async fn directory(&self) -> Result<Directory, Error> {
        Ok(Directory { version: 1, accounts: Vec::new(), lines: Vec::new() })
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth, Error> {
        Ok(OutboxDepth::default())
    }

    async fn dead_letter_depth(&self) -> Result<Held, Error> {
        Ok(Held::default())
    }

    async fn standing(&self) -> Result<Standing, Error> {
        Ok(Standing::default())
    }
}
