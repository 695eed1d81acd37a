//! HTTP servers, all with the same settings and the same end.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;

use actix_web::dev::{Server, Service, ServiceRequest, ServiceResponse};
use actix_web::guard::{Any, Get, Head};
use actix_web::http::ConnectionType;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer, Route};

use crate::config;
use crate::shutdown::Shutdown;

/// A server on a bound listener, to be given to [`serve`]. `routes` is called once per thread.
///
/// Once the end is near it closes each connection with its next answer. Closing an idle one instead can cross with a
/// request on its way, which is then lost to a caller that dares not repeat it.
///
/// # Errors
/// When the listener cannot be used.
pub fn server<R>(
    listener: TcpListener,
    settings: &config::Server,
    shutdown: &Shutdown,
    routes: R,
) -> io::Result<Server>
where
    R: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let shutdown = shutdown.clone();
    let app = move || {
        // The thread's own: counting its holders for each request is not for all threads together.
        let shutdown = Rc::new(shutdown.clone());
        let say_goodbye = move |request: ServiceRequest, service: &_| {
            let (answer, shutdown) = (Service::call(service, request), shutdown.clone());
            async move {
                let mut answer: ServiceResponse<_> = answer.await?;
                if shutdown.is_leaving() {
                    answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                }
                Ok(answer)
            }
        };
        App::new().wrap_fn(say_goodbye).configure(&routes)
    };
    let server = HttpServer::new(app)
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
