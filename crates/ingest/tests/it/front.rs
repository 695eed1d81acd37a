//! An ingest to send webhooks to, and the provider's side of it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use casewire_bus::{DirectoryBoard, EmbeddedConfig, EmbeddedStream, LocalDirectory, Stream};
use casewire_domain::directory::{AccountEntry, Directory, LineEntry, Method};
use casewire_domain::seal::{MasterKey, NONCE_LEN};
use casewire_domain::{AccountId, Event};
use casewire_ingest::{Ingest, Parts, Spill, build};
use casewire_runtime::config::{self, HttpUrl};
use casewire_runtime::ops::{Health, Metrics};
use casewire_runtime::shutdown::{Ended, Shutdown};
use casewire_testkit::eventually_some;
use casewire_testkit::http::client;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature;
use reqwest::{Method as Verb, RequestBuilder, Response};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Where the world sees it: never what a test connects to.
pub(crate) const PUBLIC_URL: &str = "https://texts.example.org";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const SID: &str = "SM0123456789abcdef0123456789abcdef";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
/// Longer than anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The key that [`account`] seals with.
pub(crate) fn master_key() -> MasterKey {
    MasterKey::new(&[7; 32])
}

/// An account with these live tokens, newest first.
pub(crate) fn account(id: u128, sid: &str, tokens: &[&str]) -> AccountEntry {
    let id = AccountId(uuid(id));
    let seal = |(i, token): (usize, &&str)| master_key().seal(token, &id.to_string(), [i as u8; NONCE_LEN]);
    let tokens = tokens.iter().enumerate().map(seal).collect();
    AccountEntry { id, sid: sid.to_owned(), tokens, shared_keys: Vec::new() }
}

/// An active line of an account.
pub(crate) fn line(webhook_id: &str, account: &AccountEntry, method: Method) -> LineEntry {
    let id = webhook_id.bytes().fold(0, |id, byte| id << 8 | u128::from(byte));
    LineEntry {
        id: uuid(id).into(),
        webhook_id: webhook_id.to_owned(),
        account_id: account.id,
        method,
        active: true,
    }
}

fn uuid(value: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(value)
}

/// One account with the line `main`.
pub(crate) fn directory() -> Directory {
    let account = account(1, ACCOUNT, &[TOKEN]);
    let lines = vec![line("main", &account, Method::Post)];
    Directory { version: 1, accounts: vec![account], lines }
}

/// A text as the provider sends it.
pub(crate) fn text(sid: &str, body: &str) -> Parameters {
    let pairs = [
        ("ToCountry", "US"),
        ("MessageSid", sid),
        ("AccountSid", ACCOUNT),
        ("From", "+12065550100"),
        ("To", "+12065550199"),
        ("Body", body),
        ("NumMedia", "0"),
    ];
    pairs.into_iter().collect()
}

/// The signature of a form, or of a request without one.
pub(crate) fn signed(target: &str, form: &Parameters, token: &str) -> String {
    let token = SecretString::from(token);
    let algorithm = casewire_domain::directory::Algorithm::HmacSha1;
    signature::sign(&format!("{PUBLIC_URL}{target}"), form, &token, algorithm)
}

/// An ingest that serves until it is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) board: LocalDirectory,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    client: reqwest::Client,
    ingest: Ingest,
    shutdown: Shutdown,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

impl Front {
    /// In front of a stream, as configured, without a directory yet.
    pub(crate) fn bare(
        stream: Arc<dyn Stream>,
        settings: config::Ingest,
        master_key: MasterKey,
    ) -> Result<Self> {
        Self::over(stream, None, settings, config::Server::default(), master_key)
    }

    /// With the spill of the settings' folder, and without a directory yet.
    pub(crate) async fn spilling(stream: Arc<dyn Stream>, settings: config::Ingest) -> Result<Self> {
        let folder = settings.spill_dir.clone().context("a folder")?;
        let spill = Spill::open(&folder, &settings, stream.shards()).await?;
        Self::over(stream, Some(spill), settings, config::Server::default(), master_key())
    }

    fn over(
        stream: Arc<dyn Stream>,
        spill: Option<Spill>,
        settings: config::Ingest,
        server: config::Server,
        master_key: MasterKey,
    ) -> Result<Self> {
        let (board, shutdown) = (LocalDirectory::default(), Shutdown::new());
        let (metrics, health) = (Metrics::default(), Health::new());
        let parts = Parts {
            stream,
            spill,
            directory: board.watch(),
            master_key,
            public_url: HttpUrl::parse(PUBLIC_URL).context("a URL")?,
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let ingest = build(settings, parts);
        health.started();
        let (serving, stop) = (ingest.clone(), shutdown.clone());
        shutdown.spawn_critical("webhooks", async move { serving.run(listener, &server, stop).await });
        Ok(Self { address, board, metrics, health, client: client()?, ingest, shutdown })
    }

    /// Ends it, as a process would that is asked to.
    pub(crate) async fn end(self) -> Result<()> {
        self.end_within(config::Server::default().drain_timeout).await
    }

    /// The same, in so much time.
    pub(crate) async fn end_within(self, drain_timeout: Duration) -> Result<()> {
        self.shutdown.request();
        let settings = config::Server { drain_timeout, ..Default::default() };
        let ended = self.shutdown.run(&settings, &self.health, async {}).await?;
        self.ingest.close().await;
        ensure!(ended == Ended::Requested, "{ended:?}");
        Ok(())
    }

    /// Waits until it ends by itself, and tells how.
    pub(crate) async fn ended(self) -> Result<Ended> {
        let settings = config::Server::default();
        Ok(tokio::time::timeout(SOON, self.shutdown.run(&settings, &self.health, async {})).await??)
    }

    /// With the line `main`.
    pub(crate) async fn with(stream: Arc<dyn Stream>, settings: config::Ingest) -> Result<Self> {
        let front = Self::bare(stream, settings, master_key())?;
        front.board.publish(&directory()).await?;
        Ok(front)
    }

    /// With the line `main`, on a server as configured.
    pub(crate) async fn serving(
        stream: Arc<dyn Stream>,
        settings: config::Ingest,
        server: config::Server,
    ) -> Result<Self> {
        let front = Self::over(stream, None, settings, server, master_key())?;
        front.board.publish(&directory()).await?;
        Ok(front)
    }

    /// With the line `main`, on a stream of its own.
    pub(crate) async fn start() -> Result<(Self, Embedded)> {
        let stream = Embedded::open().await?;
        Ok((Self::with(stream.stream.clone(), config::Ingest::default()).await?, stream))
    }

    /// A request to be completed, with a target exactly as given.
    pub(crate) fn request(&self, verb: Verb, target: &str) -> RequestBuilder {
        self.client.request(verb, format!("http://{}{target}", self.address))
    }

    /// A signed form.
    pub(crate) async fn post(&self, target: &str, form: &Parameters) -> Result<Response> {
        self.post_signed(target, form, &signed(target, form, TOKEN)).await
    }

    /// A form with this signature.
    pub(crate) async fn post_signed(
        &self,
        target: &str,
        form: &Parameters,
        signature: &str,
    ) -> Result<Response> {
        let request = self.request(Verb::POST, target).header("content-type", FORM);
        Ok(request.header(signature::HEADER, signature).body(form.encode()).send().await?)
    }

    /// Sends bytes as they are, and returns all that is answered until the connection ends, without the date.
    pub(crate) async fn raw(&self, request: &[u8]) -> Result<String> {
        let mut connection = tokio::net::TcpStream::connect(self.address).await?;
        connection.write_all(request).await?;
        let mut answer = String::new();
        tokio::time::timeout(SOON, connection.read_to_string(&mut answer)).await??;
        Ok(answer.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n"))
    }

    /// The value of a metric's line, given up to the space before the value.
    pub(crate) fn metric(&self, line: &str) -> Result<String> {
        let text = self.metrics.encode()?;
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("{line} in {text}"))?.to_owned())
    }
}

/// A whole request with a form, to be sent as bytes.
pub(crate) fn raw_post(target: &str, extra_headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {FORM}\r\n\
         content-length: {length}\r\n{extra_headers}\r\n{body}"
    )
    .into_bytes()
}

/// An embedded stream in a folder of its own.
pub(crate) struct Embedded {
    pub(crate) stream: Arc<EmbeddedStream>,
    _folder: tempfile::TempDir,
}

impl Embedded {
    pub(crate) async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let stream =
            EmbeddedStream::open(&folder.path().join("stream.db"), EmbeddedConfig::default()).await?;
        Ok(Self { stream: Arc::new(stream), _folder: folder })
    }

    /// All events on it. Publishing is acknowledged before it is answered, so nothing is waited for.
    pub(crate) async fn events(&self) -> Result<Vec<Event>> {
        events(self.stream.as_ref()).await
    }
}

/// All events that are on a stream by now and were not fetched before.
pub(crate) async fn events(stream: &dyn Stream) -> Result<Vec<Event>> {
    let mut all = Vec::new();
    for shard in 0..stream.shards() {
        // Consuming has a connection of its own, which may come back later than publishing's.
        let mut consumer =
            eventually_some("the shard can be read", SOON, async || stream.consume(shard).await.ok()).await?;
        loop {
            let fetched = consumer.fetch(100, Duration::from_millis(200)).await?;
            if fetched.is_empty() {
                break;
            }
            for delivery in fetched {
                all.push(delivery.event.clone().ok().context("an event that can be read")?);
                delivery.ack().await?;
            }
        }
    }
    Ok(all)
}
