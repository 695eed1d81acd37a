//! A store with one line, and short ways to say what happens to it.

use std::time::Duration;

use casewire_domain::case::CaseStatus;
use casewire_domain::command::{Command, EventFacts, Reply};
use casewire_domain::decide::Outcome;
use casewire_domain::directory::Method;
use casewire_domain::line::{DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard};
use casewire_domain::seal::Sealed;
use casewire_domain::{
    Address, CaseNumber, DedupeId, DeliveryStatus, EventKind, InboundText, Location, MessageId, Region,
    StatusReport, Text, TraceParent,
};
use casewire_store::view::CaseView;
use casewire_store::{Claim, Claimed, Config, LineSettings, NewLine, Store};
use chrono::Utc;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const HEATHER: &str = "+12065550100";
/// The trace that agents' requests belong to.
pub(crate) const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
pub(crate) const IAN: &str = "+12065550101";

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) config: Config,
    _folder: Option<TempDir>,
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let config = Config::sqlite(&folder.path().join("casewire.db"));
        Self::with(config, Some(folder)).await
    }

    pub(crate) async fn postgres() -> Self {
        let server = casewire_testkit::Postgres::shared().await.unwrap();
        Self::with(Config::new(server.database().await.unwrap()), None).await
    }

    /// The same database with other bounds.
    pub(crate) async fn reopened(&self, change: impl FnOnce(&mut Config)) -> Store {
        let mut config = self.config.clone();
        change(&mut config);
        Store::open(&config).await.unwrap()
    }

    /// Another program at the same database.
    pub(crate) async fn intruder(&self) -> Intruder {
        match self.config.url.starts_with("sqlite:") {
            true => Intruder::Sqlite(SqliteConnection::connect(&self.config.url).await.unwrap()),
            false => Intruder::Postgres(PgConnection::connect(&self.config.url).await.unwrap()),
        }
    }

    /// Another database, empty, where this bench is on PostgreSQL: SQLite's file is migrated by one `up` alone.
    pub(crate) async fn empty_postgres(&self) -> Option<Config> {
        self.config.url.starts_with("postgres").then_some(())?;
        let server = casewire_testkit::Postgres::shared().await.unwrap();
        Some(Config::new(server.database().await.unwrap()))
    }

    async fn with(config: Config, folder: Option<TempDir>) -> Self {
        let store = Store::open(&config).await.unwrap();
        store.migrate().await.unwrap();
        let bench = Self { store, config, _folder: folder };
        bench.store.put_account_token(ACCOUNT.into(), |_| Sealed::from_stored("sealed")).await.unwrap();
        bench.add_line("main", "+15550001111", 100).await;
        bench
    }

    pub(crate) async fn add_line(&self, id: &str, address: &str, per_second: u32) {
        self.add_line_of(ACCOUNT, id, address, per_second).await;
    }

    /// A line of another account.
    pub(crate) async fn add_foreign_line(&self, id: &str, address: &str) {
        const OTHER: &str = "AC00000000000000000000000000000002";
        self.store.put_account_token(OTHER.into(), |_| Sealed::from_stored("sealed")).await.unwrap();
        self.add_line_of(OTHER, id, address, 100).await;
    }

    async fn add_line_of(&self, account: &str, id: &str, address: &str, per_second: u32) {
        let settings = LineSettings {
            webhook_id: id.into(),
            address: Address::parse(address, Region::US).unwrap(),
            region: Region::US,
            method: Method::Post,
            on_open: DEFAULT_ON_OPEN.into(),
            on_reopen: DEFAULT_ON_REOPEN.into(),
            on_update: String::new(),
            guard: Guard::default(),
            per_second,
            when_uncertain: Default::default(),
        };
        self.store.add_line(NewLine { settings, account_sid: account.into() }).await.unwrap();
    }

    pub(crate) async fn text(&self, from: &str, body: &str) -> Outcome {
        self.store.handle_one(text("main", from, body, &sid())).await.unwrap()
    }

    /// Sends a text and gives the number of the case it is in.
    pub(crate) async fn placed(&self, from: &str, body: &str) -> CaseNumber {
        match self.text(from, body).await {
            Outcome::Placed { case, .. } => case,
            other => unreachable!("not placed: {other:?}"),
        }
    }

    pub(crate) async fn set_status(&self, case: CaseNumber, status: CaseStatus) {
        let command = Command::SetStatus { case, status, actor: "agent:test".into() };
        assert_eq!(self.store.handle_one(command).await.unwrap(), Outcome::StatusSet);
    }

    pub(crate) async fn reply(&self, case: CaseNumber, body: &str, key: Option<&str>) -> Outcome {
        let command = Command::Reply(Reply {
            case,
            body: Text::new(body),
            author: "agent:test".into(),
            idempotency_key: key.map(Into::into),
            trace: TraceParent::parse(TRACE),
        });
        self.store.handle_one(command).await.unwrap()
    }

    pub(crate) async fn report(
        &self,
        provider_sid: &str,
        status: DeliveryStatus,
        ours: Option<(MessageId, u32)>,
    ) -> Outcome {
        self.store.handle_one(report(provider_sid, status, ours)).await.unwrap()
    }

    /// Claims everything that is due.
    pub(crate) async fn claim(&self) -> Vec<Claimed> {
        self.store.claim(claim()).await.unwrap().messages
    }

    pub(crate) async fn case(&self, number: CaseNumber) -> CaseView {
        self.store.case(number).await.unwrap().expect("the case exists")
    }
}

/// A connection that does as it likes.
pub(crate) enum Intruder {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Intruder {
    pub(crate) async fn run(&mut self, on_sqlite: &'static str, on_postgres: &'static str) {
        match self {
            Self::Sqlite(connection) => drop(connection.execute(on_sqlite).await.unwrap()),
            Self::Postgres(connection) => drop(connection.execute(on_postgres).await.unwrap()),
        }
    }
}

/// A claim of everything that is due.
pub(crate) fn claim() -> Claim {
    Claim { most: 100, lease: Duration::from_secs(60), paused: Vec::new(), slowed: Vec::new() }
}

/// A fresh provider id.
pub(crate) fn sid() -> String {
    format!("SM{}", uuid::Uuid::now_v7().simple())
}

fn facts(line: &str, kind: EventKind, dedupe_id: String) -> EventFacts {
    EventFacts {
        dedupe_id: DedupeId::new(dedupe_id).unwrap(),
        kind,
        line: line.into(),
        received_at: Utc::now(),
        raw: b"raw".to_vec(),
        trace: None,
    }
}

pub(crate) fn text(line: &str, from: &str, body: &str, provider_sid: &str) -> Command {
    let text = InboundText {
        provider_sid: provider_sid.into(),
        from: from.into(),
        to: "+15550001111".into(),
        body: Text::new(body),
        media: Vec::new(),
        location: Location { city: Some("SEATTLE".into()), state: Some("WA".into()), ..Location::default() },
        opt_out: None,
    };
    Command::Text(facts(line, EventKind::Message, format!("i:{ACCOUNT}:{provider_sid}")).into(), text)
}

pub(crate) fn report(provider_sid: &str, status: DeliveryStatus, ours: Option<(MessageId, u32)>) -> Command {
    report_on("main", provider_sid, status, ours)
}

pub(crate) fn report_on(
    line: &str,
    provider_sid: &str,
    status: DeliveryStatus,
    ours: Option<(MessageId, u32)>,
) -> Command {
    let id = format!("s:{line}:{provider_sid}:{}:", status.as_str());
    let report = StatusReport { provider_sid: provider_sid.into(), status, error_code: None, ours };
    Command::Status(facts(line, EventKind::MessageStatus, id).into(), report)
}
