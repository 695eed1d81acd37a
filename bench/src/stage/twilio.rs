//! A simulated Twilio in this process.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use casewire_runtime::shutdown::Shutdown;
use casewire_simulator::{Account, Config, Lifecycle, Simulator};

use super::line;

/// It ends when dropped.
pub(crate) struct Twilio {
    /// Where its API is.
    pub(crate) url: String,
    end: Shutdown,
}

impl Twilio {
    /// One that knows the account alone and takes texts as fast as they come.
    pub(crate) fn start() -> Result<Self> {
        let config = Config { seed: Some(1), lifecycle: Lifecycle::at_once(), ..Config::default() };
        let (simulator, end) = (Simulator::new(config)?, Shutdown::new());
        simulator.set_account(line::ACCOUNT.parse()?, Account::with_token(line::TOKEN));
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let url = format!("http://{}", listener.local_addr()?);
        let stop = end.token();
        // It ends by itself only when it is told to.
        tokio::spawn(async move { simulator.serve(listener, stop).await });
        Ok(Self { url, end })
    }
}

impl Drop for Twilio {
    fn drop(&mut self) {
        self.end.request();
    }
}
