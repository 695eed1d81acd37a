//! HTTP servers, all with the same settings and the same end.

use std::io;
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::guard::{Any, Get, Head};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer, Route};

use crate::config;
use crate::shutdown::Shutdown;

/// A server on a bound listener, to be given to [`serve`]. `routes` is called once per thread.
///
/// # Errors
/// When the listener cannot be used.
pub fn server<R>(listener: TcpListener, settings: &config::Server, routes: R) -> io::Result<Server>
where
    R: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let server = HttpServer::new(move || App::new().configure(&routes))
        .workers(settings.workers.get().into())
        .max_connections(usize::try_from(settings.max_connections.get()).unwrap_or(usize::MAX))
        .client_request_timeout(settings.head_timeout)
        .keep_alive(settings.keep_alive)
        .shutdown_timeout(settings.drain_timeout.as_secs().max(1))
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// A route for GET and for HEAD, which is GET without the body: the server leaves it out by itself.
pub fn read() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// Runs a server until shutdown is requested; then it takes no new connections, finishes the requests it has and
/// ends. Give the future to [`Shutdown::spawn_critical`].
///
/// # Errors
/// When the server fails by itself.
pub async fn serve(mut server: Server, shutdown: Shutdown) -> io::Result<()> {
    let handle = server.handle();
    tokio::select! {
        ended = &mut server => return ended,
        () = shutdown.requested() => {}
    }
    // The handle only asks; the server must be polled to stop.
    tokio::join!(server, handle.stop(true)).0
}
