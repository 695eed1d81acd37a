//! Private servers to play with: starts a nats-server and a PostgreSQL, prints where they are, and sweeps both away
//! when it ends.

use std::io::Write as _;

use anyhow::Result;
use casewire_testkit::{NatsServer, Postgres};

#[tokio::main]
async fn main() -> Result<()> {
    let (nats, postgres) = tokio::try_join!(NatsServer::start(), Postgres::start())?;
    let database = postgres.database().await?;
    let mut out = std::io::stdout();
    writeln!(out, "CASEWIRE_STREAM__NATS_URL={}", nats.url())?;
    writeln!(out, "CASEWIRE_DATABASE__URL={database}")?;
    writeln!(out, "Both go when this ends: press Ctrl-C.")?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
