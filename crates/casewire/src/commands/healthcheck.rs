//! `casewire healthcheck`: for containers, which have no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::{HealthcheckArgs, Place};
use crate::installation;

/// Shorter than the interval of any probe.
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn run(place: &Place, args: &HealthcheckArgs) -> anyhow::Result<()> {
    let mut address = installation::config(place, None)?.server.ops_listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let path = if args.live { "livez" } else { "readyz" };
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let answer = client.get(format!("http://{address}/{path}")).send().await;
    let answer = answer.with_context(|| format!("nothing answers on {address}"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    if !status.is_success() {
        bail!("{}", text.trim());
    }
    println!("{}", text.trim());
    Ok(())
}
