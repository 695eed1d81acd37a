//! Ingest while the stream is away: what keeps events is the spill.

use std::time::Duration;

use casewire_testkit::port;
use tempfile::TempDir;

use super::Trace;
use super::embedded::texts_and_callbacks;
use crate::kit::{Cluster, Hook, SOON, say};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_stream_ingest_answers_each_webhook_after_the_fsync_of_its_spill() {
    let cluster = Cluster::plan().start().await;
    let (trace, folder) = (Trace::new(), TempDir::new().unwrap());
    let (listen, ops) = (port::free().unwrap(), port::free().unwrap());
    let ingest = cluster
        .program(&["ingest", "--spill-dir"])
        .arg(folder.path())
        .env("CASEWIRE_SERVER__LISTEN", format!("127.0.0.1:{listen}"))
        .env("CASEWIRE_SERVER__OPS_LISTEN", format!("127.0.0.1:{ops}"));
    let ingest = trace.of(ingest).spawn().unwrap();
    let ready = format!("http://127.0.0.1:{ops}/readyz");
    ingest.wait_until_ready(&ready, Duration::from_secs(60)).await.unwrap();
    // Past the balancer, whose other ingest has no spill.
    let hook = Hook { address: format!("http://127.0.0.1:{listen}"), ..cluster.hook.clone() };
    hook.known().await;

    cluster.nats.kill().unwrap();
    let taken = texts_and_callbacks(&hook).await;
    ingest.terminate().unwrap();
    ingest.wait(SOON).await.unwrap();

    let proof = trace.proof(&[folder.path().join("spill.db")]);
    let verdict = proof.verdict();
    // What was taken before, the stream had.
    let early: Vec<_> = verdict.early.iter().filter(|(sid, _)| taken.contains(*sid)).collect();
    assert!(early.is_empty(), "{early:?}");
    assert!(verdict.durable.is_superset(&taken), "{} of {}", verdict.durable.len(), taken.len());
    say(&format!("{} webhooks, each answered after its fsync", taken.len()));
    assert!(proof.without_syncs().verdict().durable.is_empty());
}
