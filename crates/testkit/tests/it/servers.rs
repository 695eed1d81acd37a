//! Servers start, die, come back and leave nothing behind.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use casewire_testkit::{Casewire, NatsServer, Postgres, eventually};

const SOON: Duration = Duration::from_secs(20);

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn a_killed_nats_server_comes_back_on_its_port_and_store() -> Result<()> {
    let nats = NatsServer::start().await?;
    assert!(answers(nats.port()));
    assert!(nats.version()?.starts_with("2."), "{:?}", nats.version());
    let store = nats.store_dir().join("jetstream");
    std::fs::write(store.join("mark"), "kept")?;

    nats.kill()?;
    assert!(!answers(nats.port()));
    nats.restart().await?;
    assert!(answers(nats.port()));
    assert!(store.join("mark").exists());

    nats.stop().await?;
    assert!(!answers(nats.port()));
    nats.wipe()?;
    nats.restart().await?;
    assert!(!store.join("mark").exists());
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_told_in_the_servers_own_words() {
    let error = NatsServer::start_with("no_such_setting: 1").await.unwrap_err();
    assert!(format!("{error:#}").contains("no_such_setting"), "{error:#}");
}

#[tokio::test]
async fn each_database_of_the_shared_server_is_empty_and_apart() -> Result<()> {
    let postgres = Postgres::shared().await?;
    let (one, two) = (postgres.database().await?, postgres.database().await?);
    assert_ne!(one, two);
    let name = |url: &str| url.rsplit('/').next().map(str::to_owned).context("a name");
    postgres.sql(&name(&one)?, "CREATE TABLE mark (n int)").await?;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.sql(&name(&one)?, tables).await?, "1");
    assert_eq!(postgres.sql(&name(&two)?, tables).await?, "0");
    Ok(())
}

#[tokio::test]
async fn what_postgres_committed_survives_kill_9() -> Result<()> {
    let postgres = Postgres::start().await?;
    postgres.sql("postgres", "CREATE TABLE mark AS SELECT 7 AS n").await?;
    postgres.kill()?;
    assert!(postgres.sql("postgres", "SELECT 1").await.is_err());
    postgres.restart().await?;
    assert_eq!(postgres.sql("postgres", "SELECT n FROM mark").await?, "7");
    postgres.stop().await?;
    postgres.restart().await?;
    assert_eq!(postgres.sql("postgres", "SELECT n FROM mark").await?, "7");
    Ok(())
}

#[tokio::test]
async fn servers_and_their_folders_are_swept_away_when_the_test_process_is_killed() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let holder =
        Casewire::at(env!("CARGO_BIN_EXE_casewire-servers")).env("TMPDIR", temporary.path()).spawn()?;
    let line = holder.wait_for_line("CASEWIRE_DATABASE__URL", SOON).await?;
    let database = port_in(&line)?;
    let nats = port_in(&holder.wait_for_line("CASEWIRE_STREAM__NATS_URL", SOON).await?)?;
    assert!(answers(database) && answers(nats));

    holder.kill()?;
    eventually("both servers are gone", SOON, || async { !answers(database) && !answers(nats) }).await?;
    eventually("their folders are gone", SOON, || async { is_empty(temporary.path()) }).await
}

#[tokio::test]
async fn a_frozen_process_goes_on_and_ends_when_asked() -> Result<()> {
    // A shell that is told to stop while it starts a program stops only once it has (`vfork`), which it then never will.
    let process = Casewire::at("/bin/sh").args(["-c", "echo started; exec sleep 60"]).spawn()?;
    process.wait_for_line("started", SOON).await?;
    process.pause().await?;
    assert!(process.is_running()?);
    process.resume()?;
    process.terminate()?;
    assert_eq!(process.wait(SOON).await?.status.code(), None);
    Ok(())
}

#[test]
fn a_test_that_fails_beside_a_frozen_database_ends() {
    let begun = Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let failed = std::panic::catch_unwind(move || {
        runtime.block_on(async {
            let postgres = std::sync::Arc::new(Postgres::start().await.unwrap());
            let asked = postgres.clone();
            tokio::spawn(async move { asked.sql("postgres", "select pg_sleep(60)").await });
            let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            eventually("it is asked", SOON, || async {
                postgres.sql("postgres", asleep).await.unwrap() == "1"
            })
            .await
            .unwrap();
            postgres.pause().await.unwrap();
            panic!("while nothing answers");
        })
    });
    assert!(failed.is_err());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_process_that_ends_early_is_told_with_its_last_words() -> Result<()> {
    let process = Casewire::at("/bin/sh").args(["-c", "echo cannot bind >&2; exit 3"]).spawn()?;
    let start = Instant::now();
    let error = process.wait_for_line("listening", SOON).await.unwrap_err();
    assert!(start.elapsed() < SOON);
    assert!(format!("{error:#}").contains("cannot bind"), "{error:#}");
    Ok(())
}

#[tokio::test]
async fn a_program_reads_its_input_and_not_our_settings() -> Result<()> {
    let output = Casewire::at("/bin/sh")
        .args(["-c", "cat; env"])
        .stdin("typed\n")
        .env("CASEWIRE_DATABASE__URL", "given")
        .run_well(SOON)
        .await?;
    assert!(output.starts_with("typed\n"));
    let settings: Vec<&str> = output.lines().filter(|line| line.starts_with("CASEWIRE_")).collect();
    assert_eq!(settings, ["CASEWIRE_DATABASE__URL=given"]);
    Ok(())
}

fn port_in(line: &str) -> Result<u16> {
    let after = line.rsplit(':').next().context("a port")?;
    Ok(after.split('/').next().context("a port")?.parse()?)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}
