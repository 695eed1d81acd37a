//! What takes webhooks: casewire's ingest, the raw limit, or what people use today.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use casewire_testkit::process::Start;
use casewire_testkit::{Casewire, eventually, port};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::broker::{Broker, Family, SHARDS};
use super::home::Home;
use super::line;
use super::programs::{Programs, here, last_words};
use crate::load::{self, Requests, Senders, Texts, Window};
use crate::vitals;

const START: Duration = Duration::from_secs(30);
/// How long what was taken may take to become cases, and how often is looked.
const SETTLED: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(200);

/// A process that takes webhooks.
pub(crate) struct Front {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) process: Casewire,
    kept: Kept,
}

/// Where what was answered 2xx must then be.
enum Kept {
    Streams(Family),
    /// In cases, in this SQLite database, with all that was taken before.
    Database {
        path: PathBuf,
        taken: AtomicU64,
    },
}

/// What one window found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Webhooks a second.
    pub(crate) rate: f64,
    /// In milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Seconds of processor time that 10,000 webhooks took, in the front alone.
    pub(crate) cpu: f64,
    /// Seconds from the last answer until every text was in a case, where the front makes cases.
    pub(crate) behind: f64,
}

impl Front {
    /// `casewire ingest`.
    pub(crate) async fn casewire(programs: &Programs, broker: &Broker) -> Result<Self> {
        let (address, ops) = (local()?, local()?);
        let process = ingest(programs, &broker.url(), address, ops).spawn()?;
        process.wait_until_ready(&format!("http://{ops}/readyz"), START).await?;
        Ok(Self { name: "casewire", address, process, kept: Kept::Streams(Family::Casewire) })
    }

    /// The same request's way without anything that casewire adds.
    pub(crate) async fn raw_limit(programs: &Programs, broker: &Broker) -> Result<Self> {
        let address = local()?;
        let process = Casewire::at(programs.raw_limit())
            .args(["--listen".to_owned(), address.to_string(), "--nats-url".to_owned(), broker.url()])
            .args(["--shards".to_owned(), SHARDS.to_string()])
            .spawn()?;
        process.wait_for_line("ready", START).await?;
        Ok(Self { name: "raw limit", address, process, kept: Kept::Streams(Family::Raw) })
    }

    /// Express with the official SDK, in so many processes.
    pub(crate) async fn express(broker: &Broker, processes: usize) -> Result<Self> {
        let folder = here().join("baselines/express");
        ensure!(
            folder.join("node_modules").is_dir(),
            "the baseline is not installed: run `scripts/tools.sh bench`"
        );
        let address = local()?;
        let process = Casewire::at("node")
            .arg(folder.join("server.mjs"))
            .env("NODE_ENV", "production")
            .env("PORT", address.port().to_string())
            .env("NATS_URL", broker.url())
            .env("PUBLIC_URL", line::PUBLIC_URL)
            .env("AUTH_TOKEN", line::TOKEN)
            .env("PROCESSES", processes.to_string())
            .spawn()?;
        eventually("every process of the baseline listens", START, || async {
            process.stdout().matches("ready").count() == processes
        })
        .await?;
        let name = if processes == 1 { "Express" } else { "Express, cluster of two" };
        Ok(Self { name, address, process, kept: Kept::Streams(Family::Express) })
    }
}

impl Front {
    /// One window of load. Every webhook must be answered 2xx, and the streams must then hold exactly as many events;
    /// they are made anew for the next window.
    pub(crate) async fn window(&self, broker: &Broker, requests: Requests, load: Load) -> Result<Sample> {
        let (requests, before) = (Arc::new(requests), vitals::cpu_seconds(self.process.pid())?);
        let window = match load {
            Load::Closed { connections } => load::closed(self.address, requests.clone(), connections).await,
            Load::Open { connections, a_second } => {
                load::open(self.address, requests.clone(), connections, a_second).await
            }
        };
        let window = window.with_context(|| format!("{}: {}", self.name, last_words(&self.process)))?;
        let cpu = vitals::cpu_seconds(self.process.pid())? - before;
        let ended = Instant::now();
        match &self.kept {
            Kept::Streams(family) => {
                let stored = broker.stored(*family).await?;
                let answered = requests.len() as u64;
                ensure!(
                    stored == answered,
                    "{}: of {answered} webhooks answered 2xx {stored} are stored",
                    self.name
                );
                broker.renew(*family).await?;
            }
            Kept::Database { path, taken } => {
                let answered = requests.len() as u64;
                self.settled(path, taken.fetch_add(answered, Ordering::Relaxed) + answered).await?;
            }
        }
        Ok(Sample::of(&window, cpu, ended.elapsed()))
    }
}

impl Front {
    /// `casewire up` on a folder.
    pub(crate) async fn up(home: &Home) -> Result<Self> {
        let kept = Kept::Database { path: home.database(), taken: AtomicU64::new(0) };
        let process = home.start().await?;
        Ok(Self { name: "casewire up", address: home.address, process, kept })
    }

    /// Waits until every text is in a case, so that the other side has the machine for itself.
    async fn settled(&self, path: &Path, taken: u64) -> Result<()> {
        let mut database =
            SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await?;
        let (start, mut found) = (Instant::now(), 0);
        while found < taken {
            ensure!(start.elapsed() < SETTLED, "{}: of {taken} texts {found} are in cases", self.name);
            tokio::time::sleep(LOOK).await;
            let query = "select count(*) from message where direction = 'inbound' and case_id is not null";
            let (now,): (i64,) = sqlx::query_as(query).fetch_one(&mut database).await?;
            found = now.cast_unsigned();
        }
        ensure!(found == taken, "{}: {taken} texts were taken and {found} stored", self.name);
        Ok(())
    }
}

/// How webhooks come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Each connection sends its next when it has the answer to the last.
    Closed { connections: usize },
    /// At their time, whatever became of those before.
    Open { connections: usize, a_second: f64 },
}

impl Sample {
    fn of(window: &Window, cpu: f64, behind: Duration) -> Self {
        let latencies = &window.latencies;
        Self {
            rate: window.rate(),
            p50: latencies.percentile(0.5),
            p99: latencies.percentile(0.99),
            cpu: cpu / latencies.len() as f64 * 10_000.0,
            behind: behind.as_secs_f64(),
        }
    }
}

/// One side of a comparison: its front, its texts, and how many fill a window.
pub(crate) struct Turn<'a> {
    front: &'a Front,
    broker: &'a Broker,
    texts: Texts,
    /// Webhooks a second of the last window.
    rate: f64,
}

/// Texts of the first window of all, which tells how fast a side is.
const WARM_UP: usize = 4_000;

impl<'a> Turn<'a> {
    /// Warms the front up for a while; what it does then is not counted.
    pub(crate) async fn warmed(
        front: &'a Front,
        broker: &'a Broker,
        connections: usize,
        length: Duration,
    ) -> Result<Self> {
        let texts = line::texts(Senders::new(20_000));
        let mut turn = Self { front, broker, texts, rate: 0.0 };
        turn.play(WARM_UP, Load::Closed { connections }).await?;
        turn.closed(connections, length).await?;
        Ok(turn)
    }

    /// As many webhooks as fill so long a time at the last window's rate.
    pub(crate) async fn closed(&mut self, connections: usize, length: Duration) -> Result<Sample> {
        let count = (self.rate * length.as_secs_f64()) as usize;
        self.play(count.max(WARM_UP), Load::Closed { connections }).await
    }

    /// So many a second for so long.
    pub(crate) async fn open(
        &mut self,
        connections: usize,
        a_second: f64,
        length: Duration,
    ) -> Result<Sample> {
        let count = (a_second * length.as_secs_f64()) as usize;
        self.play(count.max(1), Load::Open { connections, a_second }).await
    }

    /// Webhooks a second, as far as is known.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    async fn play(&mut self, count: usize, load: Load) -> Result<Sample> {
        let sample = self.front.window(self.broker, self.texts.requests(count), load).await?;
        self.rate = sample.rate;
        Ok(sample)
    }
}

/// An address on this machine that nobody listens on.
pub(crate) fn local() -> Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], port::free()?)))
}

/// `casewire ingest` as it would be started by hand, with its defaults.
pub(crate) fn ingest(programs: &Programs, nats_url: &str, address: SocketAddr, ops: SocketAddr) -> Start {
    Casewire::at(programs.casewire())
        .arg("ingest")
        .env("CASEWIRE_SERVER__LISTEN", address.to_string())
        .env("CASEWIRE_SERVER__OPS_LISTEN", ops.to_string())
        .env("CASEWIRE_SERVER__PUBLIC_URL", line::PUBLIC_URL)
        .env("CASEWIRE_KEYS__MASTER_KEY", line::master_key())
        .env("CASEWIRE_STREAM__NATS_URL", nats_url)
}
