//! `casewire doctor` where every role is a process of its own.

use casewire_simulator::Line;
use casewire_twilio::webhook::message_url;
use serde_json::Value;

use crate::kit::{ACCOUNT, Cluster, DATABASE_PASSWORD, SOON, TOKEN, number};

async fn doctor(cluster: &Cluster, settings: &[(&str, &str)]) -> (Vec<Value>, i32) {
    let command = cluster.program(&["doctor", "--json"]);
    let command = settings.iter().fold(command, |command, (name, value)| command.env(*name, *value));
    let said = command.run(SOON).await.unwrap();
    for secret in [TOKEN, DATABASE_PASSWORD, "5550001111"] {
        assert!(!said.stdout.contains(secret), "{}", said.stdout);
    }
    (serde_json::from_str(&said.stdout).unwrap(), said.status.code().unwrap())
}

#[track_caller]
fn assert_wrong(found: (Vec<Value>, i32), check: &str, said: &str, mend: &str) {
    let (findings, status) = found;
    let wrong: Vec<_> = findings.iter().filter(|it| it["state"] == "wrong").collect();
    assert_eq!((status, wrong.len()), (1, 1), "{findings:?}");
    let text = |name: &str| wrong[0][name].as_str().unwrap();
    assert!(
        text("check") == check && text("found").contains(said) && text("mend").contains(mend),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_cluster_is_all_well_and_each_thing_that_is_not_is_named() {
    let cluster = Cluster::plan().start().await;
    let url = message_url(&cluster.public_url(), "main");
    cluster.simulator.set_line(Line::new(number(), ACCOUNT.parse().unwrap(), url));
    let (findings, status) = doctor(&cluster, &[]).await;
    assert_eq!(status, 0, "{findings:?}");
    for check in
        ["configuration", "database", "clock of the database", "keys", "stream", "directory", "line main"]
    {
        let found = findings.iter().find(|it| it["check"] == check);
        assert_eq!(found.map(|it| it["state"].as_str().unwrap()), Some("ok"), "{check}: {findings:?}");
    }

    let other = doctor(&cluster, &[("CASEWIRE_STREAM__DUPLICATE_WINDOW", "30m")]).await;
    assert_wrong(other, "stream", "has duplicate_window 900s, configured is 1800s", "migrate refuses");
    for (setting, value, said) in [
        ("CASEWIRE_STREAM__MAX_AGE", "8d", "has max_age 604800s, configured is 691200s"),
        ("CASEWIRE_STREAM__ACK_WAIT", "45s", "has ack_wait 30s, configured is 45s"),
    ] {
        let limit = doctor(&cluster, &[(setting, value)]).await;
        assert_wrong(limit, "stream", said, "which changes the limit");
    }
    let more = doctor(&cluster, &[("CASEWIRE_STREAM__SHARDS", "5")]).await;
    assert_wrong(more, "stream", "IN_4 does not exist", "migrate");

    let last = "delete from seaql_migrations where version = (select max(version) from seaql_migrations) returning version";
    let version = cluster.sql(last).await.concat();
    let behind = doctor(&cluster, &[]).await;
    assert_wrong(behind, "database", "lacks 1 of", "migrate");
    cluster
        .sql(&format!(
            "insert into seaql_migrations (version, applied_at) values ('{}', 0)",
            version.lines().next().unwrap()
        ))
        .await;

    cluster.sql("update installation set directory_version = directory_version - 1").await;
    let forgot = doctor(&cluster, &[]).await;
    assert_wrong(forgot, "directory", "brought back from a backup", "restore --in-place");

    // What to do after pg_restore: then it is newer than what hangs there, and a worker publishes it.
    cluster.command(&["restore", "--in-place", "--taken-at", "1h"]).await;
    casewire_testkit::eventually("ingest has it", SOON, async || doctor(&cluster, &[]).await.1 == 0)
        .await
        .unwrap();
    let (said, status) = cluster.said(&["backup", "--to", "/nowhere"]).await;
    assert_eq!(status, 1, "{said}");
}
