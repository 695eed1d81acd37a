//! `casewire healthcheck`: for containers, which have no HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{anyhow, bail};
use casewire_runtime::config::Config;

use super::unanswered;
use crate::cli::{HealthcheckArgs, Place};
use crate::data_dir::DataDir;
use crate::installation;
use crate::printing::say;
use crate::process::reachable;

/// Shorter than the interval of any probe.
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn run(place: &Place, args: &HealthcheckArgs) -> anyhow::Result<()> {
    let address = address(&installation::config(place, None)?);
    let path = if args.live { "livez" } else { "readyz" };
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let answer = client.get(format!("http://{address}/{path}")).send().await;
    let answer = answer.map_err(|error| anyhow!("no answer from {address}: {}", unanswered(&error)))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    if !status.is_success() {
        bail!("{}", text.trim());
    }
    say!("{}", text.trim())?;
    Ok(())
}

/// The configured address; where none is, that of the `up` on the folder, and then the usual one.
fn address(config: &Config) -> SocketAddr {
    let beside = || DataDir::new(&config.data.dir).running()?.ops;
    let beside = config.origin("server.ops_listen").is_none().then(beside).flatten();
    beside.unwrap_or_else(|| reachable(config.server.ops_listen))
}
