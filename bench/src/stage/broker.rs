//! A nats-server with three families of streams, all with the same limits and a consumer each, so that it has the same
//! work whoever publishes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{Context, consumer, stream};
use casewire_bus::{DirectoryBoard, JetStream, JetStreamConfig, Stream};
use casewire_runtime::config;
use casewire_testkit::{NatsServer, nats_current};

use super::line;

/// Streams of each family.
pub(crate) const SHARDS: u32 = 4;
/// All streams' limits together. The server would take a part of what is free on the disk, and refuse some of them;
/// they hold little, since each window and each backlog begins with none.
const ROOM: &str = "max_file_store: 64GB";
const CONNECT: Duration = Duration::from_secs(20);

/// Whose streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Casewire,
    Raw,
    Express,
}

impl Family {
    const OTHERS: [Self; 2] = [Self::Raw, Self::Express];

    /// Beginning of the streams' names, and of their subjects.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Casewire => ("IN", "in"),
            Self::Raw => ("RAW", "raw"),
            Self::Express => ("WEB", "web"),
        }
    }

    fn stream(self, shard: u32) -> String {
        format!("{}_{shard}", self.names().0)
    }
}

/// How the server treats its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// As it comes: every two minutes.
    Default,
    /// Nothing is acknowledged before it is on the disk.
    Always,
}

pub(crate) struct Broker {
    pub(crate) stream: Arc<JetStream>,
    context: Context,
    // Last, so that nobody complains of a server that is gone.
    server: NatsServer,
}

impl Broker {
    /// Starts a current server and makes every stream; the directory hangs in its bucket.
    pub(crate) async fn start(sync: Sync) -> Result<Self> {
        let sync = match sync {
            Sync::Default => "",
            Sync::Always => "sync_interval: always",
        };
        let server = NatsServer::start_storing(nats_current()?, &format!("{ROOM}\n{sync}")).await?;
        // As `casewire migrate` would make them: a worker refuses streams that are set up otherwise.
        let usual = config::Stream::default();
        let config = JetStreamConfig {
            url: server.url(),
            shards: SHARDS,
            max_bytes: usual.max_bytes.bytes(),
            ..JetStreamConfig::default()
        };
        let stream = Arc::new(JetStream::connect(config).await?);
        ensure!(stream.wait_connected(CONNECT).await, "no connection to nats-server");
        stream.prepare().await?;
        DirectoryBoard::publish(stream.as_ref(), &line::directory()).await?;
        let context = async_nats::jetstream::new(async_nats::connect(server.url()).await?);
        let broker = Self { stream, context, server };
        for family in Family::OTHERS {
            broker.create(family).await?;
        }
        Ok(broker)
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The family's streams, as casewire's are.
    async fn create(&self, family: Family) -> Result<()> {
        for shard in 0..SHARDS {
            let mut model = self.context.get_stream(Family::Casewire.stream(shard)).await?;
            let mut work: consumer::PullConsumer =
                model.get_consumer("work").await.map_err(|error| anyhow::anyhow!("{error}"))?;
            let limits = model.info().await?.config.clone();
            let consuming = work.info().await?.config.clone();
            let config = stream::Config {
                name: family.stream(shard),
                subjects: vec![format!("{}.{shard}.>", family.names().1)],
                ..limits
            };
            let made = self.context.create_stream(config).await?;
            let work = consumer::pull::Config {
                durable_name: Some("work".to_owned()),
                ack_policy: consuming.ack_policy,
                ack_wait: consuming.ack_wait,
                max_ack_pending: consuming.max_ack_pending,
                ..Default::default()
            };
            made.create_consumer(work).await?;
        }
        Ok(())
    }

    /// Events that the family's streams hold.
    pub(crate) async fn stored(&self, family: Family) -> Result<u64> {
        let mut all = 0;
        for shard in 0..SHARDS {
            let name = family.stream(shard);
            let mut stream = self.context.get_stream(&name).await.with_context(|| name.clone())?;
            all += stream.info().await?.state.messages;
        }
        Ok(all)
    }

    /// Empties the family's streams, of which a worker is taking.
    pub(crate) async fn purge(&self, family: Family) -> Result<()> {
        for shard in 0..SHARDS {
            self.context.get_stream(family.stream(shard)).await?.purge().await?;
        }
        Ok(())
    }

    /// Makes the family's streams anew. An emptied one would go on knowing every id that it had, and the server would look
    /// through them all whenever it collects its garbage: each window would have a slower server than the one before.
    pub(crate) async fn renew(&self, family: Family) -> Result<()> {
        for shard in 0..SHARDS {
            self.context.delete_stream(family.stream(shard)).await?;
        }
        match family {
            Family::Casewire => Ok(self.stream.prepare().await?),
            Family::Raw | Family::Express => self.create(family).await,
        }
    }
}
