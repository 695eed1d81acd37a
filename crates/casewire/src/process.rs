//! What every long-running command has: logs, health, metrics, an ops port, and one end.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use casewire_runtime::config::Config;
use casewire_runtime::ops::{self, Health, Metrics, Ops};
use casewire_runtime::shutdown::Shutdown;
use casewire_runtime::telemetry::{Guard, Output};

use crate::printing::complain;
use crate::{logging, wiring};

/// A process that serves until it is asked to end.
pub struct Process {
    pub config: Config,
    pub health: Health,
    pub metrics: Metrics,
    pub shutdown: Shutdown,
    /// Where health and metrics are served.
    pub ops_address: SocketAddr,
    ops: Ops,
    telemetry: Guard,
}

impl Process {
    /// Starts logging and the ops port; not ready until [`Process::serve`].
    pub fn start(config: Config, role: &'static str, output: Output) -> anyhow::Result<Self> {
        let telemetry = logging::start(&config, role, output)?;
        let (health, metrics) = (Health::new(), Metrics::default());
        let listener = wiring::listen_ops(config.server.ops_listen)?;
        let ops_address = listener.local_addr().context("the ops port has no address")?;
        let ops = ops::start(listener, health.clone(), metrics.clone(), logging::identity(role))?;
        Ok(Self { config, health, metrics, shutdown: Shutdown::new(), ops_address, ops, telemetry })
    }

    /// Everything is built: serves until the end, of which `close` is a part, before the last log lines leave.
    pub async fn serve(self, close: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
        self.health.started();
        let ended = self.shutdown.run(&self.config.server, &self.health, close).await?;
        self.ops.stop().await;
        self.telemetry.flush().await;
        if let casewire_runtime::shutdown::Ended::Failed(why) = &ended {
            complain(format_args!("casewire: {why}"));
        }
        Ok(ExitCode::from(ended.exit_code()))
    }
}

/// The address by which this machine reaches a listener: a wildcard is reached by loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}
