//! docker-compose.yml's services as plain processes, on a real nats-server and PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use casewire_testkit::{NatsServer, Postgres, nats_current};
use tempfile::TempDir;

use super::compose::Compose;
use super::kit::{Collector, Environment, Hook, Role, casewire};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const ACCOUNT: &str = "AC00000000000000000000000000000000";
/// How long a command may take.
const COMMAND: std::time::Duration = std::time::Duration::from_secs(120);
/// Small, so that a test can fill it.
const SHARD: &str = "1MiB";

pub(crate) struct Stack {
    // First, so that nobody complains of servers that are gone.
    pub(crate) ingest: Role,
    pub(crate) workers: Vec<Role>,
    pub(crate) desk: Role,
    pub(crate) simulator: Role,
    pub(crate) hook: Hook,
    pub(crate) nats: NatsServer,
    _postgres: Postgres,
    cli: Environment,
    secrets: PathBuf,
    folder: TempDir,
}

impl Stack {
    /// Starts everything in compose's order, with what it starts beside the profile `observability`.
    pub(crate) async fn start(collector: &Collector) -> Self {
        let compose = Compose::read(&[("COMPOSE_PROFILES", "observability")]);
        let folder = TempDir::new().unwrap();
        let secrets = make_secrets(folder.path());
        let read = |name: &str| secret(&secrets, name);
        let nats = nats(&secrets).await;
        let postgres = Postgres::start().await.unwrap();
        let database = postgres.database().await.unwrap();
        let url = format!("{}\n", database.replacen('@', &format!(":{}@", read("database/password")), 1));
        std::fs::write(secrets.join("database/url"), url).unwrap();

        let mut simulator = Role::new("simulator", &Vec::new());
        let mut ingest = Role::new("ingest", &Vec::new());
        let places = [
            ("nats://nats:4222", nats.url()),
            ("http://simulator:8080", simulator.url()),
            ("http://ingest:8080", ingest.url()),
            ("http://otel-collector:4318", collector.url().to_owned()),
            ("/run/secrets", secrets.display().to_string()),
            ("/var/lib/casewire/spill", folder.path().join("spill").display().to_string()),
        ];
        let places = places.map(|(there, here)| (there.to_owned(), here));
        let environment = |service: &str| -> Environment {
            let mut variables = compose.environment(service, &places);
            // A role has ports of its own, and the test's settings are few: a small stream that forgets soon.
            variables.retain(|(name, _)| !name.ends_with("LISTEN"));
            variables.push(("CASEWIRE_STREAM__MAX_BYTES".to_owned(), SHARD.to_owned()));
            variables.push(("CASEWIRE_STREAM__DUPLICATE_WINDOW".to_owned(), "2s".to_owned()));
            // Every trace, and logs of all that happens, so that there is something to be found in them.
            variables.push(("CASEWIRE_TELEMETRY__SAMPLE_RATIO".to_owned(), "1".to_owned()));
            variables.push(("CASEWIRE_TELEMETRY__LOG_FILTER".to_owned(), "debug".to_owned()));
            variables
        };
        environment("simulator").into_iter().for_each(|variable| simulator.set(variable));
        environment("ingest").into_iter().for_each(|variable| ingest.set(variable));
        for service in ["migrate", "line"] {
            let words = compose.command(service, &places);
            let start = environment(service)
                .into_iter()
                .fold(casewire(&[]), |start, (name, value)| start.env(name, value));
            start.args(words).run_well(COMMAND).await.unwrap();
        }
        let workers = (0..compose.replicas("worker")).map(|_| Role::new("worker", &environment("worker")));
        let stack = Self {
            workers: workers.collect(),
            desk: Role::new("desk", &environment("desk")),
            hook: Hook::new(&ingest.url(), "demo", ACCOUNT, &read("twilio/auth-token")),
            cli: environment("cli"),
            ingest,
            simulator,
            nats,
            _postgres: postgres,
            secrets,
            folder,
        };
        stack.roles().for_each(Role::spawn);
        for role in stack.roles() {
            role.ready().await;
        }
        stack.hook.known().await;
        stack
    }

    pub(crate) fn roles(&self) -> impl Iterator<Item = &Role> {
        [&self.simulator, &self.ingest, &self.desk].into_iter().chain(&self.workers)
    }

    /// One of the secrets that compose's first service made.
    pub(crate) fn secret(&self, name: &str) -> String {
        secret(&self.secrets, name)
    }

    /// A command as `docker compose run --rm cli` runs it; what it printed.
    pub(crate) async fn command(&self, args: &[&str]) -> String {
        let start = self.cli.iter().fold(casewire(args), |start, (name, value)| start.env(name, value));
        start.run_well(COMMAND).await.unwrap()
    }

    /// Has the simulator refuse any other token than this one, as Twilio does; it takes what it meets otherwise.
    pub(crate) async fn insist_on(&self, token: &str) {
        let account = format!("{}/simulator/accounts/{ACCOUNT}", self.simulator.url());
        let body = serde_json::json!({ "auth_token": token });
        let answer = self.hook.client.put(account).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// Gives casewire this token of the account's and no other: it would try the one before, too.
    pub(crate) async fn rotate_token(&self, token: &str) {
        let file = self.folder.path().join("token.txt");
        std::fs::write(&file, token).unwrap();
        let file = file.to_str().unwrap();
        self.command(&["account", "rotate-token", ACCOUNT, "--auth-token-file", file, "--drop-old"]).await;
    }
}

fn secret(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap().trim().to_owned()
}

/// The nats-server that compose names, with its way of storing and its one user, who may what casewire does.
async fn nats(secrets: &Path) -> NatsServer {
    let users = std::fs::read_to_string(format!("{ROOT}/deploy/nats/authorization.conf")).unwrap();
    let include = "include \"../secrets/nats-password.conf\"";
    assert!(users.contains(include), "authorization.conf takes its password from elsewhere");
    let users = users.replace(include, &secret(secrets, "stream/nats-password.conf"));
    NatsServer::start_on(nats_current().unwrap(), "sync_interval: always", &users).await.unwrap()
}

/// Runs the script that compose runs first.
fn make_secrets(folder: &Path) -> PathBuf {
    let (secrets, data) = (folder.join("secrets"), folder.join("data"));
    std::fs::create_dir(&secrets).unwrap();
    std::fs::create_dir(&data).unwrap();
    let script = format!("{ROOT}/deploy/compose/secrets.sh");
    let made = Command::new("sh")
        .arg(script)
        .arg(&secrets)
        .arg(&data)
        .env_remove("TWILIO_AUTH_TOKEN")
        .status()
        .unwrap();
    assert!(made.success(), "secrets.sh gives files to a group, which takes root");
    secrets
}
