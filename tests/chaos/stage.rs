//! Where a row plays: the real roles as processes of their own, on a nats-server, a PostgreSQL and a simulated Twilio,
//! with a fault proxy in every link when the row wants them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use casewire_bus::{DirectoryBoard, JetStream, JetStreamConfig, Stream};
use casewire_domain::Address;
use casewire_domain::directory::Directory;
use casewire_runtime::shutdown::Shutdown;
use casewire_simulator::{Account, Config, Fault, HandsetDraft, Lifecycle, Line, Rule, Simulator};
use casewire_testkit::postgres::Options;
use casewire_testkit::process::Start;
use casewire_testkit::{Casewire, NatsServer, Postgres, port};
use tempfile::TempDir;

use crate::books::{Books, Kind};
use crate::kit::{ACCOUNT, Balancer, Environment, Hook, Role, TOKEN, person};
use crate::plan::Plan;
use crate::proxy::Proxy;

/// The line's number, which [`Hook`] texts.
pub(crate) const NUMBER: &str = "+15550001111";
/// 32 bytes in base64.
const MASTER_KEY: &str = "Y2FzZXdpcmUtdGVzdC1tYXN0ZXIta2V5LTMyLWJ5dGU=";
/// How long a command of the program may take.
const COMMAND: Duration = Duration::from_secs(120);
/// How long one request to the provider may take in most rows.
pub(crate) const REQUEST: Duration = Duration::from_secs(2);

impl Plan {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(self) -> Stage {
        casewire_testkit::http::install_tls();
        let nats = NatsServer::start_with(&self.nats_extra).await.unwrap();
        let postgres = match &self.postgres_in {
            Some(place) => Postgres::start_in(place, Options::default()).await.unwrap(),
            None => Postgres::start_with(Options::default()).await.unwrap(),
        };
        let url = postgres.database().await.unwrap();
        let (_, database) = url.rsplit_once('/').unwrap();
        let end = Shutdown::new();
        let (simulator, api) = simulate(&end);
        let links = Links::start(nats.port(), postgres.port(), api).await;
        let nats_url = self.nats_url.clone().unwrap_or_else(|| nats.url());
        let direct = self.environment(&nats_url, postgres.port(), database, api);
        let cast = self.cast(&direct, &links, database).await;
        let webhook = format!("{}/inbound/main#ct=2000&rt=5000&tt=15000&rc=5&rp=all", cast.balancer.url());
        let number = Address::from_stored(NUMBER);
        simulator.set_line(Line::new(number, ACCOUNT.parse().unwrap(), &webhook));
        let look = JetStreamConfig { url: nats_url, shards: self.shards(), ..JetStreamConfig::default() };
        let stage = Stage {
            stream: JetStream::connect(look).await.unwrap(),
            hook: Hook::new(&cast.balancer.url(), "main", ACCOUNT, TOKEN),
            books: Arc::new(Books::new()),
            environment: [direct, vec![cast.public]].concat(),
            folder: TempDir::new().unwrap(),
            database: database.to_owned(),
            ingests: cast.ingests,
            workers: cast.workers,
            simulator,
            links,
            nats,
            postgres,
            balancer: cast.balancer,
            end,
        };
        let rate = ["--rate".to_owned(), self.a_second.to_string()];
        stage.begin(&self.program, &[self.line, rate.into()].concat()).await;
        stage
    }

    /// The configuration of a role that reaches stream, database and provider there.
    fn environment(&self, nats: &str, postgres: u16, database: &str, api: u16) -> Environment {
        let mut all: Environment = vec![("CASEWIRE_KEYS__MASTER_KEY".into(), MASTER_KEY.into())];
        all.extend(self.settings.iter().map(|(name, value)| (format!("CASEWIRE_{name}"), value.clone())));
        all.push(("CASEWIRE_STREAM__NATS_URL".into(), nats.to_owned()));
        let database = format!("postgres://casewire@127.0.0.1:{postgres}/{database}");
        all.push(("CASEWIRE_DATABASE__URL".into(), database));
        all.push(("CASEWIRE_TWILIO__API_BASE_URL".into(), format!("http://127.0.0.1:{api}")));
        all
    }

    /// The roles, not started yet, with a fault proxy in every link when the plan has them.
    async fn cast(&self, direct: &Environment, links: &Links, database: &str) -> Cast {
        let behind = |nats: &Proxy| {
            let nats = format!("nats://127.0.0.1:{}", nats.port());
            self.environment(&nats, links.worker_pg.port(), database, links.twilio.port())
        };
        let (of_ingest, of_worker) = if self.proxied {
            (behind(&links.ingest_nats), behind(&links.worker_nats))
        } else {
            (direct.clone(), direct.clone())
        };
        let mut ingests: Vec<_> = (0..self.ingests).map(|_| Role::new("ingest", &of_ingest)).collect();
        let balancer = Balancer::start(ingests.iter().map(|ingest| ingest.port).collect()).await;
        let public = ("CASEWIRE_SERVER__PUBLIC_URL".to_owned(), balancer.url());
        let mut workers: Vec<_> = (0..self.workers).map(|_| Role::new("worker", &of_worker)).collect();
        ingests.iter_mut().chain(&mut workers).for_each(|role| role.set(public.clone()));
        Cast { ingests, workers, balancer, public }
    }

    fn shards(&self) -> u32 {
        let shards = self.settings.iter().find(|(name, _)| name == "STREAM__SHARDS");
        shards.map_or(4, |(_, shards)| shards.parse().unwrap())
    }
}

/// The roles of a plan, and their public address.
struct Cast {
    ingests: Vec<Role>,
    workers: Vec<Role>,
    balancer: Balancer,
    /// The variable that says it.
    public: (String, String),
}

/// The links between processes.
pub(crate) struct Links {
    pub(crate) ingest_nats: Proxy,
    pub(crate) worker_nats: Proxy,
    pub(crate) worker_pg: Proxy,
    pub(crate) twilio: Proxy,
}

impl Links {
    async fn start(nats: u16, postgres: u16, api: u16) -> Self {
        Self {
            ingest_nats: Proxy::start(nats).await,
            worker_nats: Proxy::start(nats).await,
            worker_pg: Proxy::start(postgres).await,
            twilio: Proxy::start(api).await,
        }
    }
}

pub(crate) struct Stage {
    // First, so that nobody complains of servers that are gone.
    pub(crate) ingests: Vec<Role>,
    pub(crate) workers: Vec<Role>,
    pub(crate) simulator: Simulator,
    /// A look at the stream from outside.
    pub(crate) stream: JetStream,
    pub(crate) nats: NatsServer,
    pub(crate) postgres: Postgres,
    pub(crate) links: Links,
    /// The line `main`, by its public address.
    pub(crate) hook: Hook,
    pub(crate) books: Arc<Books>,
    pub(crate) environment: Environment,
    pub(crate) folder: TempDir,
    database: String,
    balancer: Balancer,
    end: Shutdown,
}

/// A simulated Twilio that knows the account alone, and the port of its API.
fn simulate(end: &Shutdown) -> (Simulator, u16) {
    let config = Config { seed: Some(1), lifecycle: Lifecycle::at_once(), ..Config::default() };
    let simulator = Simulator::new(config).unwrap();
    simulator.set_account(ACCOUNT.parse().unwrap(), Account::with_token(TOKEN));
    // Not one of those that outgoing connections get: it is known before the server behind a proxy runs.
    let listener = TcpListener::bind(("127.0.0.1", port::free().unwrap())).unwrap();
    let api = listener.local_addr().unwrap().port();
    let (serving, stop) = (simulator.clone(), end.token());
    tokio::spawn(async move { serving.serve(listener, stop).await.unwrap() });
    (simulator, api)
}

impl Stage {
    async fn begin(&self, program: &Path, line: &[String]) {
        self.command_of(program, &["migrate"]).await;
        let token = self.secret("token", TOKEN);
        let add = ["line", "add", "--id", "main", "--number", NUMBER, "--account-sid", ACCOUNT];
        let token = ["--auth-token-file", token.to_str().unwrap()];
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        self.command_of(program, &[&add[..], &token, &line].concat()).await;
        // First those that publish the line: an ingest that knows only the directory from before it refuses its texts.
        let spawn = |role: &Role| role.spawn_from(Casewire::at(program).arg(role.name));
        self.workers.iter().for_each(spawn);
        let version = self.count("select directory_version from installation").await;
        let mut board = self.stream.watch();
        let current = |shown: &Option<Arc<Directory>>| {
            shown.as_ref().is_some_and(|directory| directory.version.cast_unsigned() == version)
        };
        tokio::time::timeout(COMMAND, board.wait_for(current)).await.unwrap().unwrap();
        self.ingests.iter().for_each(spawn);
        for role in self.roles() {
            role.ready().await;
        }
        self.simulator.set_faults(Self::shuffled()).unwrap();
    }

    /// A fifth of the delivery callbacks out of order, one in twenty twice.
    pub(crate) fn shuffled() -> Vec<Rule> {
        vec![
            Rule::sometimes(0.2, Fault::DelayCallbacks { min_ms: 10, max_ms: 400 }),
            Rule::sometimes(0.1, Fault::ReorderCallbacks),
            Rule::sometimes(0.05, Fault::DuplicateCallbacks { copies: 1 }),
        ]
    }

    pub(crate) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.ingests.iter().chain(&self.workers)
    }

    /// Where the world reaches ingest.
    pub(crate) fn public_url(&self) -> String {
        self.balancer.url()
    }

    /// Runs a command beside the roles, with their configuration; what it printed.
    pub(crate) async fn command(&self, args: &[&str]) -> String {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_casewire")), args).await
    }

    async fn command_of(&self, program: &Path, args: &[&str]) -> String {
        self.prepared(program, args).run_well(COMMAND).await.unwrap()
    }

    /// Compares the provider's list with the database: what it printed, and its exit code (3 when something was
    /// missing).
    pub(crate) async fn reconcile(&self) -> (String, Option<i32>) {
        let program = Path::new(env!("CARGO_BIN_EXE_casewire"));
        let finished = self.prepared(program, &["reconcile", "--since", "24h"]).run(COMMAND).await.unwrap();
        (finished.stdout, finished.status.code())
    }

    fn prepared(&self, program: &Path, args: &[&str]) -> Start {
        let start = Casewire::at(program).args(args.iter().copied());
        self.environment.iter().fold(start, |start, (name, value)| start.env(name, value))
    }

    /// A text from a person's handset, which the provider's list knows afterwards; whether it was taken.
    pub(crate) async fn handset(&self, sender: u64, body: &str) -> bool {
        let (sent, kind) = (Instant::now(), Kind::Text);
        let draft =
            HandsetDraft::new(Address::from_stored(person(sender)), Address::from_stored(NUMBER), body);
        let text = self.simulator.send_text(draft).await.unwrap();
        let status = text.webhooks.last().and_then(|webhook| webhook.status).unwrap_or_default();
        self.books.write(&text.sid.to_string(), kind, sender, sent, if text.taken { 200 } else { status });
        text.taken
    }

    /// A private file for a command to read.
    pub(crate) fn secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Rows of the database, split into columns; fails while the database is away.
    pub(crate) async fn try_rows(&self, query: &str) -> Option<Vec<Vec<String>>> {
        let rows = self.postgres.sql(&self.database, query).await.ok()?;
        Some(rows.lines().map(|row| row.split('|').map(str::to_owned).collect()).collect())
    }

    pub(crate) async fn rows(&self, query: &str) -> Vec<Vec<String>> {
        self.try_rows(query).await.unwrap()
    }

    /// A number from the database.
    pub(crate) async fn count(&self, query: &str) -> u64 {
        self.rows(query).await.concat().concat().parse().unwrap()
    }

    /// Events that are not acknowledged; nothing while the stream is away.
    pub(crate) async fn backlog(&self) -> Option<u64> {
        let shards = self.stream.backlog().await.ok()?;
        Some(shards.iter().map(|shard| shard.pending + shard.ack_pending).sum())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end.request();
    }
}
