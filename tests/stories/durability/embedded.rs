//! `casewire up`: the stream is its own file.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::Trace;
use crate::kit::{Home, Hook, Up, message_sid, person, say};

/// Texts in all, and how many at the same time: several share a sync, and not all the same.
const TEXTS: u64 = 60;
const AT_ONCE: u64 = 6;

/// Sends texts and as many delivery callbacks; the SIDs of those that were taken.
pub(super) async fn texts_and_callbacks(hook: &Hook) -> BTreeSet<String> {
    let callbacks = format!("/inbound/{}/status", hook.line);
    let one = async |client: u64| {
        let mut taken = Vec::new();
        for number in 0..TEXTS / AT_ONCE {
            let (text, status) = (message_sid(), message_sid());
            let answer =
                hook.text(&text, &person(client * TEXTS + number), "how durable is this?").await.unwrap();
            assert_eq!(answer.status(), 200);
            let answer = hook.status(&callbacks, &status, "delivered").await.unwrap();
            assert_eq!(answer.status(), 204);
            taken.extend([text, status]);
        }
        taken
    };
    join_all((0..AT_ONCE).map(one)).await.concat().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_answers_each_webhook_after_the_fsync_that_covers_it() {
    let (home, trace) = (Home::on_one_port(), Trace::new());
    let up = Up::ready(trace.of(home.up()).spawn().unwrap()).await;
    let hook = home.line(&up).await;
    let taken = texts_and_callbacks(&hook).await;
    up.stop().await;

    let proof = trace.proof(&[home.data().join("stream.db"), home.data().join("spill/spill.db")]);
    let verdict = proof.verdict();
    assert!(verdict.early.is_empty(), "{:?}", verdict.early);
    assert!(verdict.durable.is_superset(&taken), "{} of {}", verdict.durable.len(), taken.len());
    say(&format!("{} webhooks, each answered after its fsync", taken.len()));

    // The checker sees it when a sync is missing.
    let unsynced = proof.without_syncs().verdict();
    assert!(unsynced.durable.is_empty() && unsynced.early.len() >= taken.len());
}
