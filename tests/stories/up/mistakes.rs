//! Mistakes at the start: one clear sentence each, and nothing is damaged.

use std::fs;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::kit::{ACCOUNT, AUTH_TOKEN, Home, Page, SOON, Up, casewire, sentence};

/// What `up` says when it refuses to start.
async fn refused(up: casewire_testkit::process::Start) -> String {
    let said = sentence(up.run(SOON).await.unwrap());
    for jargon in ["Error", "error:", "Os {", "os error", "Err(", "Some(", "::"] {
        assert!(!said.contains(jargon), "{said}");
    }
    said
}

#[tokio::test]
async fn a_busy_port_is_named_with_what_to_do() {
    let (one, other) = (Home::on_one_port(), Home::new());
    let up = one.start().await;
    let address = up.base.strip_prefix("http://").unwrap();
    let said = refused(other.command(&["up", "--listen", address])).await;
    assert!(said.contains(address) && said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_busy_ops_port_gives_way_unless_somebody_chose_it() {
    let home = Home::new();
    // Whoever has the usual port: it is busy.
    let _busy = std::net::TcpListener::bind("127.0.0.1:9090");
    let up = Up::ready(home.command(&["up", "--listen", "127.0.0.1:0"]).spawn().unwrap()).await;
    assert!(!up.ops.ends_with(":9090"), "{}", up.ops);
    up.process.wait_until_ready(&format!("{}/readyz", up.ops), SOON).await.unwrap();
    let chosen = up.ops.strip_prefix("http://").unwrap();
    let said = refused(Home::new().command(&["up", "--listen", "127.0.0.1:0", "--ops-listen", chosen])).await;
    assert!(said.contains(chosen) && said.contains("--ops-listen"), "{said}");
}

#[tokio::test]
async fn a_second_up_on_a_folder_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let up = home.start().await;
    let said = refused(home.up()).await;
    assert!(said.contains("another `casewire up` runs on") && said.contains("--data-dir"), "{said}");
    let page = Page::open(&up.base, &up.link).await;
    assert_eq!(page.text("+12065550100", "still there?").await["taken"], true);
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_one_is_named() {
    let home = Home::new();
    fs::write(home.data(), "a file in its place").unwrap();
    let said = refused(home.up()).await;
    assert!(said.contains(home.data().to_str().unwrap()), "{said}");
    let inside = home.data().join("inside");
    let said = refused(casewire(&["up", "--data-dir", inside.to_str().unwrap()])).await;
    assert!(said.contains(inside.to_str().unwrap()), "{said}");
    assert_eq!(fs::read_to_string(home.data()).unwrap(), "a file in its place");
}

#[tokio::test]
async fn a_master_key_of_another_installation_opens_nothing() {
    let home = Home::new();
    home.start().await.stop().await;
    let key = home.data().join("master.key");
    let right = fs::read_to_string(&key).unwrap();
    let other = "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMzI=";
    fs::write(&key, other).unwrap();
    let said = refused(home.up()).await;
    assert!(said.contains("master key does not belong to this database"), "{said}");
    let said = refused(home.up().env("CASEWIRE_KEYS__MASTER_KEY", "not base64 of 32 bytes")).await;
    assert!(said.contains("keys.master_key"), "{said}");
    // A lost key is not made anew over what only the old one opens.
    fs::remove_file(&key).unwrap();
    let said = refused(home.up()).await;
    assert!(said.contains("master.key") && said.contains("put it back"), "{said}");
    assert!(!key.exists());
    fs::write(&key, right).unwrap();
    home.start().await.stop().await;
}

#[tokio::test]
async fn a_number_is_not_served_under_another_account_than_its_line_has() {
    let home = Home::new();
    let up = home.start().await;
    home.line(&up).await;
    up.stop().await;
    let other = "AC0000000000000000000000000000000f";
    let wrong = home
        .up()
        .env("CASEWIRE_TWILIO__ACCOUNT_SID", other)
        .env("CASEWIRE_TWILIO__AUTH_TOKEN", AUTH_TOKEN)
        .env("CASEWIRE_TWILIO__NUMBER", "+15550001111")
        .env("CASEWIRE_TWILIO__API_BASE_URL", "http://127.0.0.1:9")
        .env("CASEWIRE_SERVER__PUBLIC_URL", "https://sms.example.org");
    let said = refused(wrong).await;
    for part in ["line tests", ACCOUNT, "`twilio.account_sid`", "casewire line remove tests"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!home.run(&["account", "list"]).await.contains(other), "nothing of it is kept");
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    home.start().await.stop().await;
    let database = SqliteConnectOptions::new().filename(home.data().join("casewire.db"));
    let mut database = database.connect().await.unwrap();
    let newer = "insert into seaql_migrations (version, applied_at) values ('m20991231_000001_later', 0)";
    sqlx::query(newer).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    for start in [home.up(), home.command(&["case", "list"])] {
        let said = refused(start).await;
        assert!(said.contains("newer version of casewire"), "{said}");
    }
}

#[tokio::test]
async fn a_folder_that_was_never_migrated_says_how_that_is_done() {
    let home = Home::new();
    let said = home.refused(&["case", "list"]).await;
    assert!(said.contains("there is no casewire database in") && said.contains("casewire up"), "{said}");
    fs::create_dir(home.data()).unwrap();
    fs::write(home.data().join("casewire.db"), "").unwrap();
    let said = home.refused(&["case", "list"]).await;
    assert!(said.contains("casewire up"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    let database = home.data().join("casewire.db");
    let other = "this is no database, whatever its name is\n".repeat(1_000);
    fs::write(&database, &other).unwrap();
    for start in [home.up(), home.command(&["case", "list"])] {
        let said = refused(start).await;
        assert!(said.contains("casewire.db cannot be used") && said.contains("not a database"), "{said}");
    }
    assert_eq!(fs::read_to_string(&database).unwrap(), other);
    fs::rename(&database, home.data().join("stream.db")).unwrap();
    let said = refused(home.up()).await;
    assert!(said.contains("stream.db cannot be used") && said.contains("not a database"), "{said}");
}

#[tokio::test]
async fn every_mistake_in_the_configuration_is_told_at_once_and_no_secret_with_it() {
    let home = Home::new();
    let toml = home.write(
        "casewire.toml",
        "[sever]\nlisten = \"127.0.0.1:0\"\n\n[twilio]\nauth_token = \"hush-hush\"\nnumber = 12\n",
    );
    let wrong = [
        ("CASEWIRE_SERVER__LISTEM", "127.0.0.1:0"),
        ("CASEWIRE_WORKER__BATCH_SIZE", "many"),
        ("CASEWIRE_KEYS__MASTER_KEY", "secret-key-material"),
    ];
    for command in [vec!["up"], vec!["check-config"]] {
        let mut start = home.command(&command).arg("--config").arg(&toml);
        for (name, value) in wrong {
            start = start.env(name, value);
        }
        let ended = start.run(SOON).await.unwrap();
        assert_eq!(ended.status.code(), Some(1));
        for part in [
            "CASEWIRE_SERVER__LISTEM",
            "CASEWIRE_WORKER__BATCH_SIZE",
            "casewire.toml:2",
            "casewire.toml:6",
            "CASEWIRE_KEYS__MASTER_KEY",
        ] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hush") && !ended.stderr.contains("key-material"), "{}", ended.stderr);
        assert!(!home.data().exists());
    }
}

#[tokio::test]
async fn what_cannot_be_typed_is_usage() {
    let numbers = ["0", "10001", "-1"].map(|limit| ["case", "list", "--limit", limit]);
    let others = [&["upp"][..], &["up", "--prot", "1"], &["case", "show"], &["case", "show", "12"], &[]];
    for args in numbers.iter().map(|args| &args[..]).chain(others) {
        let ended = casewire(args).run(Duration::from_secs(10)).await.unwrap();
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        assert!(ended.stderr.contains("Usage") || ended.stderr.contains("--help"), "{}", ended.stderr);
    }
}
