//! The simulator as a process of its own.

use std::net::TcpListener;

use actix_web::{App, HttpServer, web};
use tokio_util::sync::CancellationToken;

use crate::simulator::Simulator;

/// How long open connections may take to finish at the end; hanging requests and streams end by themselves.
const FAREWELL_S: u64 = 2;

impl Simulator {
    /// Serves the REST API at the root, as Twilio's host does, and the control API under `/simulator`, and does
    /// the background work, until `shutdown`.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let (rest, control) = (self.rest_routes(), self.control_routes());
        let server = HttpServer::new(move || {
            App::new().service(web::scope("/simulator").configure(control.clone())).configure(rest.clone())
        })
        .workers(self.config().server_workers.max(1))
        .shutdown_timeout(FAREWELL_S)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        let mut server = std::pin::pin!(server);
        let stop = async {
            self.run(shutdown).await;
            handle.stop(true).await;
        };
        tokio::select! {
            result = &mut server => return result,
            () = stop => {}
        }
        server.await
    }
}
