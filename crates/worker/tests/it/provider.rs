//! The simulated provider.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Result;
use casewire_simulator::{Account, Config, HandsetDraft, Lifecycle, Simulator, TextError};
use casewire_testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::bench::SOON;
use crate::words::{ACCOUNT, TOKEN, number};

/// A provider that is up, with its address; a request that it is made to hang hangs so long.
pub(crate) async fn simulator(hang: Duration) -> Result<(Simulator, CancellationToken, String)> {
    let config = Config {
        accounts: vec![(ACCOUNT.parse()?, Account::with_token(TOKEN))],
        lifecycle: Lifecycle::at_once(),
        hang,
        ..Default::default()
    };
    let (simulator, stop) = (Simulator::new(config)?, CancellationToken::new());
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    let (served, ended) = (simulator.clone(), stop.clone());
    tokio::spawn(async move { served.serve(listener, ended).await });
    eventually("the simulator is up", SOON, || async {
        let probe = HandsetDraft::new(number("+12065559999"), number("+15550009999"), "");
        simulator.send_text(probe).await.is_err_and(|error| error != TextError::NotRunning)
    })
    .await?;
    Ok((simulator, stop, address))
}
