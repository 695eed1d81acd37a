//! Servers that want TLS and a password: what the configuration gives, and what is said of a mistake in it.

use std::path::PathBuf;
use std::time::Duration;

use casewire_testkit::process::Start;
use casewire_testkit::{NatsServer, Postgres, eventually, port};
use tempfile::TempDir;

use crate::kit::{ACCOUNT, Hook, MASTER_KEY, SOON, TOKEN, casewire, message_sid};

const PASSWORD: &str = "zq7guarded";
/// A debug build on a busy machine needs its time.
const LONG: Duration = Duration::from_secs(60);

/// Both servers, with certificates of an authority that no system knows.
struct Guarded {
    nats: NatsServer,
    postgres: Postgres,
    database: String,
    folder: TempDir,
}

/// The certificates of the bus's own tests, for 127.0.0.1.
fn tls(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../bus/tests/it/tls", name].iter().collect()
}

impl Guarded {
    async fn start() -> Self {
        let (certificate, key) = (tls("server.pem"), tls("server.key"));
        let nats = format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\n\
             authorization {{ user: casewire, password: {PASSWORD} }}"
        );
        let nats = NatsServer::start_with(&nats).await.unwrap();
        let postgres = Postgres::start().await.unwrap();
        let url = postgres.database().await.unwrap();
        let database = url.rsplit('/').next().unwrap().to_owned();
        let this = Self { nats, postgres, database, folder: TempDir::new().unwrap() };
        this.guard().await;
        std::fs::write(this.folder.path().join("password"), PASSWORD).unwrap();
        std::fs::write(this.folder.path().join("url"), this.url("verify-full")).unwrap();
        this
    }

    /// Gives PostgreSQL its certificate, and a user whom only a password over TLS lets in.
    async fn guard(&self) {
        let sql = async |statement: &str| self.postgres.sql("postgres", statement).await.unwrap();
        // The server writes them itself: they must be its own, and the key nobody else's.
        for (name, file) in [("server.pem", "server.crt"), ("server.key", "server.key")] {
            let text = std::fs::read_to_string(tls(name)).unwrap();
            sql(&format!(
                "copy (select regexp_split_to_table('{}', E'\\n')) to program 'umask 077; cat > {file}'",
                text.trim_end()
            ))
            .await;
        }
        for line in ["host all casewire 127.0.0.1/32 trust", "hostssl all app 127.0.0.1/32 scram-sha-256"] {
            let how = if line.ends_with("trust") { ">" } else { ">>" };
            sql(&format!("copy (select '{line}') to program 'cat {how} pg_hba.conf'")).await;
        }
        sql("alter system set ssl = on").await;
        sql(&format!("create role app login password '{PASSWORD}'")).await;
        sql(&format!("alter database {} owner to app", self.database)).await;
        let owner = "alter schema public owner to app";
        self.postgres.sql(&self.database, owner).await.unwrap();
        sql("select pg_reload_conf()").await;
        let on = async || sql("show ssl").await == "on";
        eventually("PostgreSQL speaks TLS", SOON, on).await.unwrap();
    }

    fn url(&self, sslmode: &str) -> String {
        let ca = tls("ca.pem").canonicalize().unwrap();
        format!(
            "postgres://app:{PASSWORD}@127.0.0.1:{}/{}?sslmode={sslmode}&sslrootcert={}",
            self.postgres.port(),
            self.database,
            ca.display()
        )
    }

    /// A command with every secret in a file.
    fn command(&self, args: &[&str]) -> Start {
        let file = |name: &str| self.folder.path().join(name);
        casewire(args)
            .env("CASEWIRE_STREAM__NATS_URL", format!("tls://127.0.0.1:{}", self.nats.port()))
            .env("CASEWIRE_STREAM__USER", "casewire")
            .env("CASEWIRE_STREAM__PASSWORD_FILE", file("password"))
            .env("CASEWIRE_STREAM__CA_FILE", tls("ca.pem"))
            .env("CASEWIRE_STREAM__MAX_BYTES", "16MiB")
            .env("CASEWIRE_DATABASE__URL_FILE", file("url"))
            .env("CASEWIRE_KEYS__MASTER_KEY", MASTER_KEY)
            .env("CASEWIRE_SERVER__PUBLIC_URL", "http://sms.example.org")
            .env("CASEWIRE_SENDER__REQUEST_TIMEOUT", "1s")
            .env("CASEWIRE_TWILIO__API_BASE_URL", "http://127.0.0.1:9")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_finds_its_way_between_servers_that_want_tls_and_passwords() {
    let guarded = Guarded::start().await;
    let said = guarded.command(&["migrate"]).run_well(LONG).await.unwrap();
    assert!(said.contains("stream: 4 shards") && !said.contains("changed"), "{said}");
    let more = guarded.command(&["migrate"]).env("CASEWIRE_STREAM__MAX_BYTES", "17MiB");
    let said = more.run_well(LONG).await.unwrap();
    assert!(said.contains("stream: changed IN_0 max_bytes from 16777216 to 17825792, IN_1"), "{said}");
    let token = guarded.folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let add = ["line", "add", "--id", "main", "--number", "+15550001111", "--account-sid", ACCOUNT];
    guarded.command(&add).arg("--auth-token-file").arg(token).run_well(LONG).await.unwrap();

    let mut roles = Vec::new();
    let mut webhooks = String::new();
    for name in ["worker", "ingest"] {
        let (listen, ops) = (port::free().unwrap(), port::free().unwrap());
        let role = guarded
            .command(&[name])
            .env("CASEWIRE_SERVER__LISTEN", format!("127.0.0.1:{listen}"))
            .env("CASEWIRE_SERVER__OPS_LISTEN", format!("127.0.0.1:{ops}"));
        let role = role.spawn().unwrap();
        role.wait_until_ready(&format!("http://127.0.0.1:{ops}/readyz"), LONG).await.unwrap();
        webhooks = format!("http://127.0.0.1:{listen}");
        roles.push(role);
    }
    let hook = Hook::new("http://sms.example.org", "main", ACCOUNT, TOKEN);
    let hook = Hook { address: webhooks, ..hook };
    hook.known().await;
    assert_eq!(hook.text(&message_sid(), "+12065550100", "is this line safe?").await.unwrap().status(), 200);
    let stored = "select count(*) from message where direction = 'inbound'";
    let stored = async || guarded.postgres.sql(&guarded.database, stored).await.unwrap() == "1";
    eventually("the text is stored", LONG, stored).await.unwrap();

    let open = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'app' and not ssl";
    assert_eq!(guarded.postgres.sql("postgres", open).await.unwrap(), "0", "every connection is over TLS");
    for role in roles {
        let logged = role.stdout() + &role.stderr();
        assert!(!logged.contains(PASSWORD), "{logged}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_what_servers_want_is_told_in_their_words() {
    let guarded = Guarded::start().await;
    // The command waits for servers that may yet come: what keeps it is in its log.
    let waits = async |name: &str, value: String, expected: &str| {
        let command = guarded.command(&["migrate"]).env(name, value);
        let command = command.env("CASEWIRE_TELEMETRY__LOG_FORMAT", "text").spawn().unwrap();
        command.wait_for_line(expected, LONG).await.unwrap();
        assert!(!(command.stdout() + &command.stderr()).contains(PASSWORD));
        command.kill().unwrap();
    };
    let url = |from: &str, to: &str| guarded.url("verify-full").replace(from, to);
    let file = |name: &str, content: String| {
        let path = guarded.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let database = "CASEWIRE_DATABASE__URL_FILE";
    let wrong = file("wrong", url(PASSWORD, "not-it"));
    waits(database, wrong, "password authentication failed for user \"app\"").await;
    let plain = file("plain", guarded.url("disable"));
    waits(database, plain, "no pg_hba.conf entry for host \"127.0.0.1\", user \"app\"").await;
    let stranger = file("stranger", url("ca.pem", "server.pem"));
    waits(database, stranger, "certificate").await;

    let refused = async |name: &str, value: String, expected: &str| {
        let finished = guarded.command(&["check-config"]).env(name, value).run(LONG).await.unwrap();
        assert_eq!(finished.status.code(), Some(1));
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    };
    let nowhere = file("nowhere", url("ca.pem", "nowhere.pem"));
    refused(database, nowhere, "nowhere.pem as its sslrootcert, which cannot be read").await;
    let mode = file("mode", guarded.url("verify"));
    refused(database, mode, "the sslmode of `database.url` must be one of disable").await;
    let user = "`stream.user` and `stream.password` go together";
    refused("CASEWIRE_STREAM__USER", String::new(), user).await;
}
