//! Everything around a worker, each test its own.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use casewire_bus::{DirectoryBoard, EmbeddedConfig, EmbeddedStream, LocalDirectory, Stream};
use casewire_domain::directory::Method;
use casewire_domain::line::{DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard};
use casewire_domain::seal::{MasterKey, NONCE_LEN};
use casewire_domain::{Event, Region};
use casewire_ingest::Parts;
use casewire_runtime::config::{self, HttpUrl};
use casewire_runtime::ops::{Health, Metrics};
use casewire_runtime::shutdown::{Ended, Shutdown};
use casewire_simulator::{HandsetDraft, Line, Rule, Simulator};
use casewire_store::{Config as Database, LineSettings, NewLine, Store};
use casewire_testkit::eventually;
use casewire_twilio::{rest, webhook};
use casewire_worker::Deps;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::provider;
use crate::words::{ACCOUNT, LINE, TOKEN, number};

/// Longer than anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How a bench differs from the usual one.
pub(crate) struct Plan {
    pub(crate) worker: config::Worker,
    pub(crate) sender: config::Sender,
    /// How long the provider hangs when it is made to.
    pub(crate) hang: Duration,
    /// Where cases live; `None` for an SQLite file of the test's own.
    pub(crate) database: Option<Database>,
    /// How long the stream waits for an acknowledgement.
    pub(crate) ack_wait: Duration,
}

impl Default for Plan {
    /// Pauses short enough that a test need not wait for them.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            worker: config::Worker {
                retry_first: ms(50),
                retry_most: ms(500),
                logic_pause: ms(50),
                chores_interval: ms(200),
                counting_interval: ms(200),
                directory_republish: ms(500),
                ..Default::default()
            },
            sender: config::Sender {
                retry_first: ms(100),
                retry_most: ms(1_000),
                request_timeout: ms(1_000),
                refused_pause: ms(300),
                ..Default::default()
            },
            hang: Duration::from_secs(3),
            database: None,
            ack_wait: EmbeddedConfig::default().ack_wait,
        }
    }
}

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) database: Database,
    pub(crate) stream: Arc<EmbeddedStream>,
    pub(crate) board: Arc<LocalDirectory>,
    pub(crate) simulator: Simulator,
    pub(crate) gate: Gate,
    /// The provider without the gate before it.
    pub(crate) provider_url: String,
    plan: Plan,
    public_url: String,
    front: Shutdown,
    provider: CancellationToken,
    _folder: TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.front.request();
        self.provider.cancel();
    }
}

/// A worker at work.
pub(crate) struct Running {
    pub(crate) shutdown: Shutdown,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// Wakes its sender, as desk does.
    pub(crate) queued: Arc<Notify>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

impl Running {
    /// Asks it to end, and says how it did.
    pub(crate) async fn end(&self, within: Duration) -> Result<Ended> {
        self.shutdown.request();
        let limits = config::Server { drain_timeout: within, ..Default::default() };
        Ok(self.shutdown.run(&limits, &self.health, async {}).await?)
    }

    /// The value of a metric's line, given up to the space before the value; 0 when it is not there.
    pub(crate) fn metric(&self, line: &str) -> Result<f64> {
        let text = self.metrics.encode()?;
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?.unwrap_or(0.0))
    }
}

fn master_key() -> MasterKey {
    MasterKey::new(&[7; 32])
}

impl Bench {
    /// With the line `main`, and no worker yet.
    pub(crate) async fn idle(plan: Plan) -> Result<Self> {
        casewire_runtime::crypto::install_provider();
        let folder = tempfile::tempdir()?;
        let usual = || Database::sqlite(&folder.path().join("casewire.db"));
        let database = plan.database.clone().unwrap_or_else(usual);
        let store = Store::open(&database).await?;
        store.migrate().await?;
        let bounds = EmbeddedConfig { ack_wait: plan.ack_wait, ..EmbeddedConfig::default() };
        let stream = EmbeddedStream::open(&folder.path().join("stream.db"), bounds).await?;
        let (simulator, provider, address) = provider::simulator(plan.hang).await?;
        let (listener, front) = (TcpListener::bind(("127.0.0.1", 0))?, Shutdown::new());
        let bench = Self {
            store,
            database,
            stream: Arc::new(stream),
            board: Arc::default(),
            simulator,
            gate: Gate::before(address.clone()).await?,
            provider_url: format!("http://{address}"),
            plan,
            public_url: format!("http://{}", listener.local_addr()?),
            front,
            provider,
            _folder: folder,
        };
        bench.ingest(listener)?;
        bench.put_token(TOKEN).await?;
        bench.add_line("main", LINE, 10_000).await?;
        Ok(bench)
    }

    /// With the line `main` and a worker.
    pub(crate) async fn start() -> Result<(Self, Running)> {
        Self::with(Plan::default()).await
    }

    /// As planned, with a worker.
    pub(crate) async fn with(plan: Plan) -> Result<(Self, Running)> {
        let bench = Self::idle(plan).await?;
        let worker = bench.worker()?;
        eventually("ingest knows the line", SOON, || async { bench.board.watch().borrow().is_some() })
            .await?;
        Ok((bench, worker))
    }

    /// One more worker.
    pub(crate) fn worker(&self) -> Result<Running> {
        Ok(self.run(self.deps()?))
    }

    /// What the bench's own worker works with.
    pub(crate) fn deps(&self) -> Result<Deps> {
        Ok(Deps {
            database: Arc::new(self.store.clone()),
            stream: self.stream.clone(),
            board: self.board.clone(),
            master_key: master_key(),
            provider: Arc::new(self.provider_at(&self.gate.url)?),
            public_url: self.public_url.clone(),
            health: Health::new(),
            metrics: Metrics::default(),
        })
    }

    /// Where the line `main` is told of texts.
    pub(crate) fn webhook(&self) -> String {
        webhook::message_url(&self.public_url, "main")
    }

    /// The API at this address.
    pub(crate) fn provider_at(&self, base_url: &str) -> Result<rest::Client> {
        let timeout = self.plan.sender.request_timeout;
        Ok(rest::Client::new(rest::Config { base_url: base_url.to_owned(), timeout, ..Default::default() })?)
    }

    /// A worker that works with this.
    pub(crate) fn run(&self, deps: Deps) -> Running {
        let (health, metrics, shutdown) = (deps.health.clone(), deps.metrics.clone(), Shutdown::new());
        let worker = casewire_worker::build(self.plan.worker.clone(), self.plan.sender.clone(), deps)
            .sweeping(Arc::new(self.store.clone()), Duration::ZERO);
        let queued = worker.queued();
        worker.start(&shutdown);
        health.started();
        Running { shutdown, health, metrics, queued }
    }

    /// The same database with other bounds.
    pub(crate) async fn store_with(&self, change: impl FnOnce(&mut Database)) -> Result<Store> {
        let mut database = self.database.clone();
        change(&mut database);
        Ok(Store::open(&database).await?)
    }

    fn ingest(&self, listener: TcpListener) -> Result<()> {
        let parts = Parts {
            stream: self.stream.clone(),
            directory: self.board.watch(),
            master_key: master_key(),
            public_url: HttpUrl::parse(&self.public_url).context("a URL")?,
            metrics: Metrics::default(),
            health: Health::new(),
            spill: None,
        };
        let ingest = casewire_ingest::build(config::Ingest::default(), parts);
        let (server, stop) = (config::Server::default(), self.front.clone());
        self.front.spawn_critical("ingest", async move { ingest.run(listener, &server, stop).await });
        Ok(())
    }

    /// Gives the account a token, which becomes its newest.
    pub(crate) async fn put_token(&self, token: &'static str) -> Result<()> {
        let seal =
            move |id: casewire_domain::AccountId| master_key().seal(token, &id.to_string(), [1; NONCE_LEN]);
        self.store.put_account_token(ACCOUNT.to_owned(), seal).await?;
        Ok(())
    }

    /// Adds a line, here and at the provider.
    pub(crate) async fn add_line(&self, id: &str, address: &str, per_second: u32) -> Result<()> {
        self.simulator.set_line(Line::new(
            number(address),
            ACCOUNT.parse()?,
            webhook::message_url(&self.public_url, id),
        ));
        let settings = LineSettings {
            webhook_id: id.to_owned(),
            address: number(address),
            region: Region::US,
            method: Method::Post,
            on_open: DEFAULT_ON_OPEN.to_owned(),
            on_reopen: DEFAULT_ON_REOPEN.to_owned(),
            on_update: String::new(),
            guard: Guard::default(),
            per_second,
            when_uncertain: Default::default(),
        };
        self.store.add_line(NewLine { settings, account_sid: ACCOUNT.to_owned() }).await?;
        Ok(())
    }

    /// Somebody texts the line `main`, and ingest takes it.
    pub(crate) async fn text(&self, from: &str, body: &str) -> Result<()> {
        let sent = self.simulator.send_text(HandsetDraft::new(number(from), number(LINE), body)).await?;
        ensure!(sent.taken, "the webhook was refused: {:?}", sent.webhooks);
        Ok(())
    }

    /// Puts events on the stream.
    pub(crate) async fn publish(&self, events: &[Event]) -> Result<()> {
        for event in events {
            self.stream.publish(event, 0).await?;
        }
        Ok(())
    }

    /// What the provider does wrong from now on.
    pub(crate) fn faults(&self, rules: Vec<Rule>) -> Result<()> {
        Ok(self.simulator.set_faults(rules)?)
    }

    /// Waits until the stream has nothing left to do.
    pub(crate) async fn worked_off(&self) -> Result<()> {
        eventually("the stream is worked off", SOON, || async {
            self.stream.backlog().await.is_ok_and(|all| all.iter().all(|s| s.pending + s.ack_pending == 0))
        })
        .await
    }

    /// Another program at the SQLite file.
    pub(crate) async fn intruder(&self) -> Result<SqliteConnection> {
        Ok(SqliteConnection::connect(&self.database.url).await?)
    }
}
