//! A PostgreSQL whose commits wait for the disk, and databases on it that begin alike.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use casewire_testkit::postgres::Options;
use casewire_testkit::process::Start;
use casewire_testkit::{Casewire, Postgres};
use tempfile::TempDir;

use super::broker::Broker;
use super::line;
use super::programs::Programs;

/// How long a command of the program may take.
const COMMAND: Duration = Duration::from_secs(120);
/// A quarter of the eight gigabytes of a small server, as PostgreSQL's manual advises, a log that need not be written out
/// within a round, and the time of every commit.
const SETTINGS: &[(&str, &str)] =
    &[("shared_buffers", "2GB"), ("max_wal_size", "4GB"), ("track_commit_timestamp", "on")];
/// What every database is copied from.
const MODEL: &str = "model";
/// Copies go at once and not through the log: a big checkpoint would fall into the round that follows.
const COPY: &str = "strategy = file_copy";

pub(crate) struct Books {
    server: Postgres,
    /// Names and values for every role and command.
    environment: Vec<(String, String)>,
    _folder: TempDir,
}

impl Books {
    /// Starts the server and makes the model: migrated, with the line, which may send so many texts a second.
    pub(crate) async fn start(
        programs: &Programs,
        broker: &Broker,
        api_url: &str,
        a_second: u32,
    ) -> Result<Self> {
        let options = Options { fsync: true, settings: SETTINGS };
        let server = Postgres::start_with(options).await?;
        server.sql("postgres", &format!("create database {MODEL}")).await?;
        let folder = tempfile::tempdir()?;
        let token = folder.path().join("token");
        std::fs::write(&token, line::TOKEN)?;
        let environment = [
            ("SERVER__PUBLIC_URL", line::PUBLIC_URL.to_owned()),
            ("KEYS__MASTER_KEY", line::master_key()),
            ("STREAM__NATS_URL", broker.url()),
            ("TWILIO__API_BASE_URL", api_url.to_owned()),
        ]
        .map(|(name, value)| (format!("CASEWIRE_{name}"), value));
        let books = Self { server, environment: environment.into(), _folder: folder };
        let model = Database { name: MODEL.to_owned() };
        books.command(programs, &model, &["migrate"]).await?;
        let rate = a_second.to_string();
        let add =
            ["line", "add", "--id", line::LINE, "--number", line::NUMBER, "--account-sid", line::ACCOUNT];
        let token = ["--auth-token-file", token.to_str().context("a folder's name")?, "--rate", &rate];
        books.command(programs, &model, &[&add[..], &token].concat()).await?;
        Ok(books)
    }

    /// The same where one more setting holds for every role.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((format!("CASEWIRE_{name}"), value.to_owned()));
        self
    }

    /// A database as the model is.
    pub(crate) async fn copy(&self, name: &str) -> Result<Database> {
        self.server.sql("postgres", &format!("create database {name} template {MODEL} {COPY}")).await?;
        Ok(Database { name: name.to_owned() })
    }

    /// Removes a database, and has the server write what lies in its memory, so that the next round does not pay for it.
    pub(crate) async fn remove(&self, database: Database) -> Result<()> {
        self.server.sql("postgres", &format!("drop database {} with (force)", database.name)).await?;
        self.server.sql("postgres", "checkpoint").await?;
        Ok(())
    }

    /// A role or a command on a database, to be started.
    pub(crate) fn program(&self, programs: &Programs, database: &Database, args: &[&str]) -> Start {
        let start = Casewire::at(programs.casewire()).args(args.iter().copied());
        let start = start.env("CASEWIRE_DATABASE__URL", self.server.url(&database.name));
        self.environment.iter().fold(start, |start, (name, value)| start.env(name, value))
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) async fn command(
        &self,
        programs: &Programs,
        database: &Database,
        args: &[&str],
    ) -> Result<String> {
        self.program(programs, database, args).run_well(COMMAND).await
    }

    /// Runs statements; rows with `|` between columns.
    pub(crate) async fn sql(&self, database: &Database, statements: &str) -> Result<String> {
        self.server.sql(&database.name, statements).await
    }

    /// A number from a database.
    pub(crate) async fn count(&self, database: &Database, query: &str) -> Result<u64> {
        let answer = self.sql(database, query).await?;
        answer.trim().parse().with_context(|| format!("{query}: {answer:?}"))
    }

    /// Runs a script statement by statement.
    pub(crate) async fn script(&self, database: &Database, script: &str) -> Result<()> {
        self.server.script(&database.name, script).await.map(drop)
    }

    /// Runs a script of `pgbench`'s and returns its transactions a second, not counting the time to connect; none may
    /// have failed.
    pub(crate) async fn pgbench(
        &self,
        database: &Database,
        script: &str,
        arguments: &[String],
    ) -> Result<f64> {
        let said = self.server.pgbench(&database.name, script, arguments).await?;
        ensure!(said.contains("number of failed transactions: 0 "), "transactions failed: {said}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("pgbench said no rate: {said}"))
    }
}

/// One database of the server.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    name: String,
}
