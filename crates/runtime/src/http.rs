//! HTTP servers, all with the same settings and the same end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Service, ServiceRequest, ServiceResponse};
use actix_web::guard::{Any, Get, Head};
use actix_web::http::ConnectionType;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, Route};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::shutdown::Shutdown;

/// Where a server listens: handlers find it among the application's data.
#[derive(Clone, Copy, Debug)]
pub struct Listening(pub SocketAddr);

/// How long a connection that is to be closed may take to read the last answer, while what it still sends is thrown
/// away: whoever is refused in the middle of a large body learns why.
const GOODBYE: Duration = Duration::from_secs(1);

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
    let (shutdown, address) = (shutdown.clone(), Listening(listener.local_addr()?));
    let (head_timeout, keep_alive) = (settings.head_timeout, settings.keep_alive);
    let connections = move || {
        // The thread's own: every look at a connection asks it.
        let end = shutdown.token().child_token();
        let until = end.clone();
        let begun = fn_service(move |connection| begun(connection, keep_alive, until.clone()));
        let app = app(&routes, address, shutdown.clone()).into_factory().map_err(|err| err.error_response());
        let http = HttpService::build()
            .client_request_timeout(head_timeout)
            .client_disconnect_timeout(GOODBYE)
            .keep_alive(keep_alive)
            .graceful_shutdown_signal(move || end.clone().cancelled_owned())
            .h1(map_config(app, |()| AppConfig::default()));
        begun.and_then(http)
    };
    let server = Server::build()
        .workers(settings.workers.get().into())
        .max_concurrent_connections(usize::try_from(settings.max_connections.get()).unwrap_or(usize::MAX))
        .shutdown_timeout(settings.drain_timeout.as_secs().max(1))
        .disable_signals()
        .listen("http", listener, connections)?;
    Ok(server.run())
}

/// A connection once its first bytes are there; only then does the time of a head run. Proxies and clients open
/// connections in advance, and the library answers one on which nothing has come with 408: that crosses with the first
/// request and is read as its answer.
///
/// # Errors
/// When nothing has come for as long as an idle connection is kept, or when the end is there; it closes without a word.
async fn begun(
    connection: TcpStream,
    keep_alive: Duration,
    end: CancellationToken,
) -> Result<(TcpStream, Option<SocketAddr>), DispatchError> {
    match timeout(keep_alive, end.run_until_cancelled(connection.readable())).await {
        Ok(Some(Ok(()))) => {
            let peer = connection.peer_addr().ok();
            Ok((connection, peer))
        }
        _ => Err(DispatchError::SlowRequestTimeout),
    }
}

/// What answers on one thread.
fn app<R: Fn(&mut ServiceConfig)>(
    routes: &R,
    address: Listening,
    shutdown: Shutdown,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<R>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<R>,
> {
    // The thread's own: counting its holders for each request is not for all threads together.
    let shutdown = Rc::new(shutdown);
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
    App::new().app_data(address).wrap_fn(say_goodbye).configure(routes)
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
