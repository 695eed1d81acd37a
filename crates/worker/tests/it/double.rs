//! A database with somebody before it who may answer in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// What happens to what is asked of the database.
pub(crate) enum Fate {
    /// It gets there.
    Through,
    /// It fails.
    Fails(Error),
    /// Whoever asked never hears again.
    Silence,
}

/// Decides what becomes of a batch.
type OfBatches = Box<dyn Fn(&[Command]) -> Fate + Send + Sync>;

/// Decides what becomes of another question.
type OfQuestions = Box<dyn Fn() -> Fate + Send + Sync>;

/// The database behind some who decide what gets there of batches, of probes, of looks for lost attempts and of counts of
/// the outbox. All else does.
pub(crate) struct Double {
    pub(crate) store: Store,
    pub(crate) handle: OfBatches,
    pub(crate) probe: OfQuestions,
    pub(crate) lost_attempts: OfQuestions,
    pub(crate) outbox_depth: OfQuestions,
}

impl Double {
    /// A database that is well, and somebody who looks at what it is to decide.
    pub(crate) fn new(store: Store, handle: impl Fn(&[Command]) -> Fate + Send + Sync + 'static) -> Self {
        let through = || -> OfQuestions { Box::new(|| Fate::Through) };
        Self {
            store,
            handle: Box::new(handle),
            probe: through(),
            lost_attempts: through(),
            outbox_depth: through(),
        }
    }
}

impl Double {
    /// A database that stumbles over the first so many batches in which there is a command of this sort.
    pub(crate) fn stumbling(store: Store, times: usize, over: fn(&Command) -> bool) -> Self {
        let left = AtomicUsize::new(times);
        Self::new(store, move |commands| {
            let less = |left: usize| left.checked_sub(usize::from(commands.iter().any(over)));
            match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
                Ok(_) if commands.iter().any(over) => Fate::Fails(Error::Panicked),
                _ => Fate::Through,
            }
        })
    }
}

impl Fate {
    async fn comes(self) -> Result<(), Error> {
        match self {
            Self::Through => Ok(()),
            Self::Fails(error) => Err(error),
            Self::Silence => std::future::pending().await,
        }
    }
}

#[async_trait]
impl casewire_worker::Database for Double {
    async fn handle(&self, commands: Arc<[Command]>) -> Result<Vec<Outcome>, Error> {
        let fate = (self.handle)(&commands);
        fate.comes().await?;
        self.store.handle(commands).await
    }

    async fn probe(&self) -> Result<(), Error> {
        let fate = (self.probe)();
        fate.comes().await?;
        self.store.probe().await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims, Error> {
        self.store.claim(claim).await
    }

    async fn lost_attempts(&self, most: u64) -> Result<Vec<(MessageId, u32)>, Error> {
        let fate = (self.lost_attempts)();
        fate.comes().await?;
        self.store.lost_attempts(most).await
    }

    async fn due_uncertain(&self, look: LookFor) -> Result<Vec<Unsettled>, Error> {
        self.store.due_uncertain(look).await
    }

    async fn ripe_statuses(&self, most: u64, patience: Duration) -> Result<Vec<Vec<u8>>, Error> {
        self.store.ripe_statuses(most, patience).await
    }

    async fn open_replays(&self, most: u64) -> Result<Vec<ReplayRequest>, Error> {
        self.store.open_replays(most).await
    }

    async fn begin_request(&self, id: Uuid) -> Result<bool, Error> {
        self.store.begin_request(id).await
    }

    async fn finish_request(&self, id: Uuid, outcome: String) -> Result<(), Error> {
        self.store.finish_request(id, outcome).await
    }

    async fn directory_version(&self) -> Result<i64, Error> {
        self.store.directory_version().await
    }

    async fn directory(&self) -> Result<Directory, Error> {
        self.store.directory().await
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth, Error> {
        let fate = (self.outbox_depth)();
        fate.comes().await?;
        self.store.outbox_depth().await
    }

    async fn dead_letter_depth(&self) -> Result<Held, Error> {
        self.store.dead_letter_depth().await
    }

    async fn standing(&self) -> Result<Standing, Error> {
        self.store.standing().await
    }
}
