//! One connection to the servers: how it is made, whether it stands, and requests over it.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, response::Response};
use async_nats::{Client, ConnectOptions, Request, RequestErrorKind, ServerAddr};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::silence::Silence;
use super::turns::Turns;
use super::{Credentials, JetStreamConfig};
use crate::PrepareError;

/// While there is no connection, its state is looked at this often; the library offers nothing to wait for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The configuration cannot be used, or the client ended at once. Final: a server that is away is no error here.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none, or not of a NATS server.
    #[error("the NATS URL is not valid: {0}")]
    Url(String),
    /// The URL holds a password, which would end up in logs.
    #[error("the NATS URL holds a password; give user and password as settings of their own")]
    PasswordInUrl,
    /// A file that is named cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The client has ended.
    #[error("the NATS client has ended: {0}")]
    Listen(#[from] async_nats::SubscribeError),
    /// The library refuses the configuration.
    #[error("the NATS client cannot be set up: {0}")]
    Options(#[from] async_nats::ConnectError),
}

/// A connection, and JetStream over it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) context: jetstream::Context,
    request_timeout: Duration,
    /// Where there are several servers.
    silence: Option<Arc<Silence>>,
}

/// What came of a request to JetStream's API.
#[derive(Debug)]
pub(super) enum ApiError {
    /// No connection, or no answer.
    Unavailable,
    /// What was asked about does not exist.
    NotFound,
    /// The server said no.
    Refused(String),
}

impl From<ApiError> for PrepareError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unavailable => Self::Unavailable,
            ApiError::NotFound => Self::Refused("it vanished while it was looked at".to_owned()),
            ApiError::Refused(why) => Self::Refused(why),
        }
    }
}

impl Connection {
    /// Starts connecting, and goes on for ever in the background; `name` is how the server's tools show it.
    pub(super) async fn start(config: &JetStreamConfig, name: &str) -> Result<Self, ConnectError> {
        let servers = servers(&config.url)?;
        let several = servers.len() > 1;
        let mut options = options(config).await?.name(name);
        if several {
            let turns = Turns::default();
            options = options.reconnect_to_server_callback(move |pool, _| ready(turns.next(&pool)));
        }
        let client = options.connect(servers).await?;
        let context = ContextBuilder::new().timeout(config.request_timeout).build(client.clone());
        let silence = several.then(|| Arc::new(Silence::new(config.leave_after)));
        Ok(Self { client, context, request_timeout: config.request_timeout, silence })
    }

    /// The server did what takes its cluster: it stored an event, or let one be fetched.
    pub(super) fn answered(&self) {
        if let Some(silence) = &self.silence {
            silence.broken();
        }
    }

    /// The server did not answer, or nobody behind it did. Where that lasts, another server is tried.
    pub(super) fn unanswered(&self) {
        if self.silence.as_ref().is_some_and(|silence| self.up() && silence.is_too_long()) {
            tracing::warn!(
                event = "server_left",
                "a NATS server answers nothing but pings: going to another"
            );
            let client = self.client.clone();
            // Its result says no more than that the client was told.
            tokio::spawn(async move { client.force_reconnect().await });
        }
    }

    pub(super) fn up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// How often it has connected: a change means that the server has forgotten what it was asked to wait for.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Waits until there is a connection; whether there was one in time.
    pub(super) async fn wait_up(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        while !self.up() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            sleep(LOOK_INTERVAL.min(left)).await;
        }
        true
    }

    /// Asks JetStream's API. Not through the library's own function, which logs every answer at debug level: some
    /// hold what people wrote.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        subject: String,
        request: &impl Serialize,
    ) -> Result<T, ApiError> {
        if !self.up() {
            // The library would keep the request, and its caller waiting for nothing.
            return Err(ApiError::Unavailable);
        }
        let body = serde_json::to_vec(request).map_err(|error| ApiError::Refused(error.to_string()))?;
        let request = Request::new().payload(body.into()).timeout(Some(self.request_timeout));
        let answer = self.client.send_request(format!("$JS.API.{subject}"), request).await;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut | RequestErrorKind::NoResponders => ApiError::Unavailable,
            _ => ApiError::Refused(error.to_string()),
        });
        let answer = answer.and_then(|answer| read(&answer.payload));
        // That it answers is no sign that it is of use: a server that is cut off still tells of its streams.
        if matches!(answer, Err(ApiError::Unavailable)) {
            self.unanswered();
        }
        answer
    }
}

/// What JetStream's API said.
fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, ApiError> {
    match serde_json::from_slice(answer) {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) if error.code() == 404 => Err(ApiError::NotFound),
        // "JetStream system temporarily unavailable", and its like in a cluster without a leader.
        Ok(Response::Err { error }) if error.code() == 503 => Err(ApiError::Unavailable),
        Ok(Response::Err { error }) => Err(ApiError::Refused(error.to_string())),
        Err(_) => Err(ApiError::Refused("the answer was not understood".to_owned())),
    }
}

fn servers(url: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    let servers = url.split(',').map(|url| {
        let server: ServerAddr = url.trim().parse().map_err(|error| ConnectError::Url(format!("{error}")))?;
        if server.has_user_pass() { Err(ConnectError::PasswordInUrl) } else { Ok(server) }
    });
    servers.collect()
}

async fn options(config: &JetStreamConfig) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new()
        .retry_on_initial_connect()
        .connection_timeout(config.connect_timeout)
        .ping_interval(config.ping_interval)
        .request_timeout(Some(config.request_timeout))
        .require_tls(config.require_tls || config.ca_file.is_some());
    if let Some(path) = &config.ca_file {
        // The library would find out only later, and then try again for ever.
        readable(path).await?;
        options = options.add_root_certificates(path.clone());
    }
    match &config.credentials {
        Credentials::None => Ok(options),
        Credentials::Password { user, password } => {
            Ok(options.user_and_password(user.clone(), password.expose_secret().to_owned()))
        }
        Credentials::File(path) => options.credentials_file(path).await.map_err(unreadable(path)),
    }
}

async fn readable(path: &Path) -> Result<(), ConnectError> {
    tokio::fs::read(path).await.map(drop).map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> ConnectError {
    let path = path.to_owned();
    move |source| ConnectError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_may_be_named() {
        let servers = servers("nats://a:4222, tls://b").expect("two servers");
        assert_eq!(servers.iter().map(ServerAddr::host).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        let error = servers("nats://user:hunter2@a:4222").expect_err("refused");
        assert!(matches!(error, ConnectError::PasswordInUrl));
        assert!(!error.to_string().contains("hunter2"));
    }

    #[tokio::test]
    async fn a_missing_file_is_named_at_once() {
        for config in [
            JetStreamConfig { ca_file: Some("no/such/ca.pem".into()), ..Default::default() },
            JetStreamConfig { credentials: Credentials::File("no/such/ca.pem".into()), ..Default::default() },
        ] {
            let error = Connection::start(&config, "test").await.expect_err("no such file");
            assert!(error.to_string().starts_with("no/such/ca.pem cannot be read"), "{error}");
        }
    }
}
