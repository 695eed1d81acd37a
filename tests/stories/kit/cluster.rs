//! casewire as it runs at scale: every role a process of its own, on a nats-server, a database and a simulated Twilio.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casewire_bus::{DirectoryBoard, JetStream, JetStreamConfig, Stream};
use casewire_domain::Address;
use casewire_domain::directory::Directory;
use casewire_runtime::shutdown::Shutdown;
use casewire_simulator::{Account, Config, Lifecycle, Simulator};
use casewire_testkit::process::Start;
use casewire_testkit::{NatsServer, Postgres};
use tempfile::TempDir;

use super::balancer::Balancer;
use super::books::Books;
use super::role::{Environment, Role};
use super::{Hook, casewire};

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "the-auth-token";
/// The line's number, which [`Hook`] texts.
const NUMBER: &str = "+15550001111";
/// 32 bytes in base64.
pub(crate) const MASTER_KEY: &str = "Y2FzZXdpcmUtdGVzdC1tYXN0ZXIta2V5LTMyLWJ5dGU=";
pub(crate) const DATABASE_PASSWORD: &str = "zq7database";
/// How long a command of the program may take.
const COMMAND: Duration = Duration::from_secs(60);
/// How often the database is asked: every answer is a process of its own.
const PAUSE: Duration = Duration::from_millis(250);

/// What to start.
pub(crate) struct Plan {
    ingests: usize,
    workers: usize,
    desks: usize,
    own_postgres: bool,
    spill: bool,
    shards: u32,
    settings: Vec<(&'static str, String)>,
}

impl Plan {
    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub(crate) fn ingests(mut self, ingests: usize) -> Self {
        self.ingests = ingests;
        self
    }

    pub(crate) fn desks(mut self, desks: usize) -> Self {
        self.desks = desks;
        self
    }

    /// A database server of its own, to be killed.
    pub(crate) fn with_own_postgres(mut self) -> Self {
        self.own_postgres = true;
        self
    }

    /// A spill for each ingest, which outlives it.
    pub(crate) fn with_spill(mut self) -> Self {
        self.spill = true;
        self
    }

    /// All texts in one shard, each behind all before it.
    pub(crate) fn in_one_shard(mut self) -> Self {
        self.shards = 1;
        self
    }

    /// A setting of every role: `STREAM__ACK_WAIT`.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(self) -> Cluster {
        casewire_testkit::http::install_tls();
        let (nats, database) =
            (NatsServer::start().await.unwrap(), Database::create(self.own_postgres).await);
        let end = Shutdown::new();
        let (simulator, api) = simulate(&end);
        let folder = TempDir::new().unwrap();
        let mut environment = vec![
            ("CASEWIRE_STREAM__NATS_URL".to_owned(), nats.url()),
            // All shards of all tests side by side must fit what their servers would reserve.
            ("CASEWIRE_STREAM__MAX_BYTES".to_owned(), "64MiB".to_owned()),
            ("CASEWIRE_STREAM__SHARDS".to_owned(), self.shards.to_string()),
            // Nobody waits for a proxy to notice, but where that is the story.
            ("CASEWIRE_SERVER__UNREADY_TIME".to_owned(), "1ms".to_owned()),
            ("CASEWIRE_DATABASE__URL".to_owned(), database.url()),
            ("CASEWIRE_KEYS__MASTER_KEY".to_owned(), MASTER_KEY.to_owned()),
            ("CASEWIRE_TWILIO__API_BASE_URL".to_owned(), api),
        ];
        let settings = self.settings.iter();
        environment.extend(settings.map(|(name, value)| (format!("CASEWIRE_{name}"), value.clone())));
        let mut ingests: Vec<_> = (0..self.ingests).map(|_| Role::new("ingest", &environment)).collect();
        let balancer = Balancer::start(ingests.iter().collect()).await;
        let public = ("CASEWIRE_SERVER__PUBLIC_URL".to_owned(), balancer.url());
        ingests.iter_mut().for_each(|ingest| ingest.set(public.clone()));
        for (n, ingest) in ingests.iter_mut().enumerate().filter(|_| self.spill) {
            let spill = spill(&folder, n);
            ingest.set(("CASEWIRE_INGEST__SPILL_DIR".to_owned(), spill.to_str().unwrap().to_owned()));
        }
        environment.push(public);
        let config = JetStreamConfig { url: nats.url(), shards: self.shards, ..JetStreamConfig::default() };
        let cluster = Cluster {
            stream: JetStream::connect(config).await.unwrap(),
            workers: (0..self.workers).map(|_| Role::new("worker", &environment)).collect(),
            desks: (0..self.desks).map(|_| Role::new("desk", &environment)).collect(),
            hook: Hook::new(&balancer.url(), "main", ACCOUNT, TOKEN),
            books: Books::default(),
            ingests,
            nats,
            database,
            simulator,
            environment,
            folder,
            balancer,
            end,
        };
        cluster.begin().await;
        cluster
    }
}

pub(crate) struct Cluster {
    // First, so that nobody complains of servers that are gone.
    pub(crate) ingests: Vec<Role>,
    pub(crate) workers: Vec<Role>,
    pub(crate) desks: Vec<Role>,
    pub(crate) simulator: Simulator,
    pub(crate) nats: NatsServer,
    /// A look at the stream from outside.
    pub(crate) stream: JetStream,
    pub(crate) database: Database,
    /// The line `main`, by its public address.
    pub(crate) hook: Hook,
    pub(crate) books: Books,
    environment: Environment,
    folder: TempDir,
    balancer: Balancer,
    end: Shutdown,
}

/// A database of its own, on the server of all tests or one of its own.
pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) name: String,
}

pub(crate) enum Server {
    Shared(&'static Postgres),
    Own(Postgres),
}

impl Deref for Server {
    type Target = Postgres;

    fn deref(&self) -> &Postgres {
        match self {
            Self::Shared(server) => server,
            Self::Own(server) => server,
        }
    }
}

impl Database {
    async fn create(own: bool) -> Self {
        let server = if own {
            Server::Own(Postgres::start().await.unwrap())
        } else {
            Server::Shared(Postgres::shared().await.unwrap())
        };
        let url = server.database().await.unwrap();
        let (_, name) = url.rsplit_once('/').unwrap();
        Self { name: name.to_owned(), server }
    }

    /// With a password, which the server does not ask for: nobody may tell it.
    fn url(&self) -> String {
        let url = self.server.url(&self.name);
        url.replacen('@', &format!(":{DATABASE_PASSWORD}@"), 1)
    }
}

/// A simulated Twilio that knows the account alone, and where its API is.
fn simulate(end: &Shutdown) -> (Simulator, String) {
    let config = Config { seed: Some(1), lifecycle: Lifecycle::at_once(), ..Config::default() };
    let simulator = Simulator::new(config).unwrap();
    simulator.set_account(ACCOUNT.parse().unwrap(), Account::with_token(TOKEN));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    let (serving, stop) = (simulator.clone(), end.token());
    tokio::spawn(async move { serving.serve(listener, stop).await.unwrap() });
    (simulator, api)
}

impl Cluster {
    /// One of each role but the desk, on servers shared with nobody but the database's.
    pub(crate) fn plan() -> Plan {
        Plan {
            ingests: 1,
            workers: 1,
            desks: 0,
            own_postgres: false,
            spill: false,
            shards: 4,
            settings: Vec::new(),
        }
    }

    async fn begin(&self) {
        self.command(&["migrate"]).await;
        let token = self.secret("token", TOKEN);
        let token = token.to_str().unwrap();
        let add = ["line", "add", "--id", "main", "--number", NUMBER, "--account-sid", ACCOUNT];
        // Faster than any story, unless it says otherwise.
        self.command(&[&add[..], &["--auth-token-file", token, "--rate", "1000"]].concat()).await;
        // First those that publish the line: an ingest that knows only the directory from before it refuses its texts.
        self.workers.iter().for_each(Role::spawn);
        let version = self.count("select directory_version from installation").await;
        let mut board = self.stream.watch();
        let current = |shown: &Option<Arc<Directory>>| {
            shown.as_ref().is_some_and(|directory| directory.version.cast_unsigned() == version)
        };
        tokio::time::timeout(COMMAND, board.wait_for(current)).await.unwrap().unwrap();
        self.ingests.iter().chain(&self.desks).for_each(Role::spawn);
        for role in self.roles() {
            role.ready().await;
        }
    }

    pub(crate) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.ingests.iter().chain(&self.workers).chain(&self.desks)
    }

    /// Runs a command beside the roles, with their configuration; what it printed.
    pub(crate) async fn command(&self, args: &[&str]) -> String {
        self.program(args).run_well(COMMAND).await.unwrap()
    }

    /// A command or a role beside the roles, with their configuration, to be started.
    pub(crate) fn program(&self, args: &[&str]) -> Start {
        self.environment.iter().fold(casewire(args), |start, (name, value)| start.env(name, value))
    }

    /// The same for one that may say no: what it printed, and its exit status.
    pub(crate) async fn said(&self, args: &[&str]) -> (String, i32) {
        let start =
            self.environment.iter().fold(casewire(args), |start, (name, value)| start.env(name, value));
        let finished = start.run(COMMAND).await.unwrap();
        (finished.stdout, finished.status.code().unwrap())
    }

    /// A private file for a command to read.
    pub(crate) fn secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Where an ingest keeps its spill, if it has one.
    pub(crate) fn spill(&self, ingest: usize) -> PathBuf {
        spill(&self.folder, ingest)
    }

    /// Where the world reaches ingest.
    pub(crate) fn public_url(&self) -> String {
        self.balancer.url()
    }

    /// Rows of the database, `|` between columns.
    pub(crate) async fn sql(&self, query: &str) -> Vec<String> {
        let rows = self.database.server.sql(&self.database.name, query).await.unwrap();
        rows.lines().map(str::to_owned).collect()
    }

    /// A number from the database.
    pub(crate) async fn count(&self, query: &str) -> u64 {
        self.sql(query).await.concat().parse().unwrap()
    }

    /// Events that are not acknowledged; nothing while the stream is away.
    pub(crate) async fn backlog(&self) -> Option<u64> {
        let shards = self.stream.backlog().await.ok()?;
        Some(shards.iter().map(|shard| shard.pending + shard.ack_pending).sum())
    }

    /// Asks the database until the answer is as wanted; otherwise fails with the last.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        query: &str,
        within: Duration,
        fits: impl Fn(u64) -> bool,
    ) {
        let start = Instant::now();
        loop {
            let count = self.count(query).await;
            if fits(count) {
                return;
            }
            assert!(
                start.elapsed() < within,
                "waited {within:?} in vain until {what}; at the end it was {count}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end.request();
        if std::thread::panicking() {
            self.roles().for_each(super::say_last_words);
        }
    }
}

fn spill(folder: &TempDir, ingest: usize) -> PathBuf {
    folder.path().join(format!("spill-{ingest}"))
}

/// A person's number: the same for the same index, another for another.
pub(crate) fn person(index: u64) -> String {
    format!("+1206{:07}", 2_000_000 + index)
}

/// The line's number, as the simulator takes it.
pub(crate) fn number() -> Address {
    Address::from_stored(NUMBER)
}

/// A person's number, as the simulator takes it.
pub(crate) fn handset(index: u64) -> Address {
    Address::from_stored(person(index))
}
