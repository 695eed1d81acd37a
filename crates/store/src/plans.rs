//! The databases' plans for what a batch asks. SQLite makes them without looking at the tables, so few rows tell as much
//! as many; PostgreSQL tells how often it made them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use casewire_domain::command::{Command, EventFacts};
use casewire_domain::directory::Method;
use casewire_domain::line::{DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard};
use casewire_domain::seal::Sealed;
use casewire_domain::{Address, DedupeId, EventKind, InboundText, Location, Region, Text};
use casewire_testkit::Postgres;
use chrono::Utc;
use sea_orm::{ConnectionTrait, Statement};

use crate::{Config, LineSettings, NewLine, Store, connect};

const ACCOUNT: &str = "AC00000000000000000000000000000001";

async fn add_line(store: &Store) {
    let settings = LineSettings {
        webhook_id: "main".into(),
        address: Address::parse("+15550001111", Region::US).unwrap(),
        region: Region::US,
        method: Method::Post,
        on_open: DEFAULT_ON_OPEN.into(),
        on_reopen: DEFAULT_ON_REOPEN.into(),
        on_update: String::new(),
        guard: Guard::default(),
        per_second: 1,
        when_uncertain: Default::default(),
    };
    store.put_account_token(ACCOUNT.into(), |_| Sealed::from_stored("sealed")).await.unwrap();
    store.add_line(NewLine { settings, account_sid: ACCOUNT.into() }).await.unwrap();
}

fn text(number: u32) -> Command {
    let sid = format!("SM{number:032x}");
    let facts = EventFacts {
        dedupe_id: DedupeId::new(format!("i:{ACCOUNT}:{sid}")).unwrap(),
        kind: EventKind::Message,
        line: "main".into(),
        received_at: Utc::now(),
        raw: Vec::new(),
        trace: None,
    };
    let text = InboundText {
        provider_sid: sid,
        from: format!("+1206{:07}", 2_000_000 + number % 20),
        to: "+15550001111".into(),
        body: Text::new("my heater is broken"),
        media: Vec::new(),
        location: Location::default(),
        opt_out: None,
    };
    Command::Text(facts.into(), text)
}

#[tokio::test]
async fn sqlite_reads_no_whole_table_for_a_batch() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = Config::sqlite(&folder.path().join("casewire.db"));
    let mut connections = connect::connect(&config).await.unwrap();
    let asked: Arc<Mutex<Vec<Statement>>> = Arc::default();
    let seen = asked.clone();
    connections.writer.set_metric_callback(move |info| seen.lock().unwrap().push(info.statement.clone()));
    let writer = connections.writer.clone();
    let store = Store::over(connections, &config);
    store.migrate().await.unwrap();
    add_line(&store).await;
    asked.lock().unwrap().clear();
    store.handle((0..40).map(text).collect::<Vec<_>>()).await.unwrap();
    store.handle((40..80).map(text).collect::<Vec<_>>()).await.unwrap();

    let statements = std::mem::take(&mut *asked.lock().unwrap());
    let mut steps = Vec::new();
    // Plans of writes hold what would be looked for if a foreign key were violated.
    let reads = statements.into_iter().filter(|statement| statement.sql.to_lowercase().starts_with("select"));
    for Statement { sql, values, db_backend } in reads {
        let explain = Statement { sql: format!("explain query plan {sql}"), values, db_backend };
        for row in writer.query_all_raw(explain).await.unwrap() {
            steps.push(row.try_get::<String>("", "detail").unwrap());
        }
    }
    assert!(steps.iter().any(|step| step.contains("SEARCH message")), "{steps:?}");
    for table in
        ["contact", "conversation", "case", "message", "event", "outbox", "case_event", "suppression"]
    {
        // From end to end, be it by an index.
        let (rows, index) = (format!("SCAN {table}"), format!("SCAN {table} USING"));
        let whole = steps.iter().find(|step| **step == rows || step.starts_with(&index));
        assert_eq!(whole, None, "of {steps:?}");
    }
}

#[tokio::test]
async fn postgresql_plans_what_a_batch_asks_once_for_whatever_values() {
    let server = Postgres::shared().await.unwrap();
    let mut config = Config::new(server.database().await.unwrap());
    let setting_up = Store::open(&config).await.unwrap();
    setting_up.migrate().await.unwrap();
    add_line(&setting_up).await;
    // One connection, whose statements can be asked for, and which a slow answer does not replace.
    config.max_connections = 1;
    config.acquire_timeout = Duration::from_secs(60);
    let store = Store::open(&config).await.unwrap();
    for batch in 0..4 {
        store.handle((batch * 40..(batch + 1) * 40).map(text).collect::<Vec<_>>()).await.unwrap();
    }
    let asked =
        "select statement, custom_plans, generic_plans from pg_prepared_statements where from_sql = false";
    let writer = &store.inner.connections.writer;
    let asked = Statement::from_string(writer.get_database_backend(), asked);
    let mut often = 0;
    for row in writer.query_all_raw(asked).await.unwrap() {
        let count = |column| row.try_get::<i64>("", column).unwrap();
        let statement: String = row.try_get("", "statement").unwrap();
        assert_eq!(count("custom_plans"), 0, "{statement}");
        often += usize::from(count("generic_plans") >= 4);
    }
    // Conversations and cases locked, suppressions, and what is written of cases, texts, trail and events.
    assert!(often >= 7, "only {often} statements were asked four times");
}
