//! What is measured, each in a file of its own.

mod both_roles;
mod express;
mod footprint;
mod ingest;
mod open_loop;
mod sender;
mod stored;
mod up;
mod worker;

use anyhow::Result;

use crate::finding::Finding;
use crate::plan::Plan;
use crate::stage;

/// Names and what they are, in the order of the report.
pub(crate) const ALL: &[(&str, &str)] = &[
    ("headline", "signed webhooks/s with everything durable, against the raw limit"),
    ("ingest", "signed webhooks/s and latency on the stream's default sync, against the raw limit"),
    ("open-loop", "latency at half of what ingest can take, webhooks coming at their time"),
    ("express", "webhooks/s and processor time, against Express with the official SDK"),
    ("worker", "a backlog of texts to cases on PostgreSQL, against pgbench one by one and set-based"),
    ("workers", "two and four workers on one backlog, against one"),
    ("stored", "a worker on a database with 10 million texts, against an empty one"),
    ("both-roles", "from a webhook to the commit of its case, at 300 texts/s"),
    ("up", "`casewire up`: webhooks against Express, texts to cases against SQLite's own limit"),
    ("sender", "texts/s to the provider, unlimited and with 50 lines limited to 10/s"),
    ("desk", "first page of the inbox and one case at a million cases, against 1,000"),
    ("footprint", "start, memory and size of ingest"),
];

/// Carries a measure out, once the disk has what the one before left.
pub(crate) async fn run(name: &str, plan: &Plan) -> Result<Vec<Finding>> {
    stage::settle().await?;
    let found = match name {
        "headline" => ingest::durable(plan).await,
        "ingest" => ingest::as_it_comes(plan).await,
        "open-loop" => open_loop::run(plan).await,
        "express" => express::run(plan).await,
        "worker" => worker::against_pgbench(plan).await,
        "workers" => worker::several(plan).await,
        "stored" => stored::worker(plan).await,
        "both-roles" => both_roles::run(plan).await,
        "up" => up::run(plan).await,
        "sender" => sender::run(plan).await,
        "desk" => stored::desk(plan).await,
        "footprint" => footprint::run(plan).await,
        unknown => anyhow::bail!("there is no measure {unknown:?}"),
    }?;
    Ok(found.into_iter().map(|finding| Finding { measure: name.to_owned(), ..finding }).collect())
}
