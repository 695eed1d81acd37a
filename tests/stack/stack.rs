//! docker-compose.yml's services as plain processes, on a real nats-server and PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use casewire_testkit::{NatsServer, Postgres};
use tempfile::TempDir;

use super::compose::Compose;
use super::kit::{Environment, Hook, Role, casewire};

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
    _nats: NatsServer,
    _postgres: Postgres,
    cli: Environment,
    folder: TempDir,
}

impl Stack {
    /// Starts everything in compose's order.
    pub(crate) async fn start() -> Self {
        let (compose, folder) = (Compose::read(), TempDir::new().unwrap());
        let secrets = make_secrets(folder.path());
        let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap().trim().to_owned();
        let nats = NatsServer::start_with(&read("stream/nats-authorization.conf")).await.unwrap();
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
            _nats: nats,
            _postgres: postgres,
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

/// Runs the script that compose runs first.
fn make_secrets(folder: &Path) -> PathBuf {
    let (secrets, data) = (folder.join("secrets"), folder.join("data"));
    std::fs::create_dir(&secrets).unwrap();
    std::fs::create_dir(&data).unwrap();
    let script = format!("{ROOT}/deploy/compose/secrets.sh");
    let made = Command::new("sh").arg(script).arg(&secrets).arg(&data).status().unwrap();
    assert!(made.success(), "secrets.sh gives files to a group, which takes root");
    secrets
}
