//! Delivering a webhook within Twilio's time-outs, and trying again where its URL asks for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::webhook::Outcome;
use crate::webhook::answer::Answer;
use crate::webhook::overrides::Policy;
use crate::webhook::request::Request;

/// Most redirects followed (Twilio's 11215).
const REDIRECTS: usize = 10;
/// Largest answer read (Twilio's 11750).
const ANSWER_MAX: usize = 64 * 1024;
/// Idle connections are dropped before a usual server's keep-alive of 5 s drops them under our feet.
const IDLE: Duration = Duration::from_secs(2);
/// Clients kept, one for each connect time-out met: a test uses one or two.
const CLIENTS: usize = 8;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// No connection, or no TLS over it.
    Connect,
    /// No answer in time, or the connection was closed before one.
    Read,
    /// The answer broke off, or is too long: never tried again.
    Answer { status: u16, code: u32 },
    /// More redirects than are followed, or one to nowhere.
    Redirects { status: u16 },
    /// An answer that is not 2xx.
    Status(u16),
}

impl Failure {
    fn is_retried(self, policy: Policy) -> bool {
        match self {
            Self::Connect => policy.connect,
            Self::Read => policy.read,
            Self::Status(400..500) => policy.status_4xx,
            Self::Status(500..) => policy.status_5xx,
            Self::Status(_) | Self::Answer { .. } | Self::Redirects { .. } => false,
        }
    }

    fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) | Self::Answer { status, .. } | Self::Redirects { status } => Some(status),
            Self::Connect | Self::Read => None,
        }
    }

    fn code(self) -> u32 {
        match self {
            Self::Connect | Self::Read => 11_205,
            Self::Answer { code, .. } => code,
            Self::Redirects { .. } => 11_215,
            Self::Status(_) => 11_217,
        }
    }
}

/// Delivers webhooks.
pub(crate) struct Courier {
    clients: Mutex<HashMap<Duration, Client>>,
    retry_pause: Duration,
}

impl Courier {
    pub(crate) fn new(retry_pause: Duration) -> Result<Self, reqwest::Error> {
        let courier = Self { clients: Mutex::default(), retry_pause };
        // A missing TLS provider or trust store shows now, not at the first webhook.
        courier.client(Duration::from_secs(5))?;
        Ok(courier)
    }

    /// Tries until it succeeds, the retries are used up or the time is over. The answer comes with it when the
    /// last one was a 2xx.
    pub(crate) async fn deliver(&self, request: &Request) -> (Outcome, Option<Answer>) {
        let started = Instant::now();
        let deadline = started + request.overrides.total;
        let mut attempts = 0;
        let result = loop {
            attempts += 1;
            let result = timeout_at(deadline, self.attempt(request)).await;
            let result = result.unwrap_or(Err(Failure::Read));
            let Err(failure) = result else { break result };
            let again = failure.is_retried(request.overrides.policy) && attempts <= request.overrides.retries;
            if !again || Instant::now() + self.retry_pause >= deadline {
                break result;
            }
            sleep(self.retry_pause).await;
        };
        let (status, error_code, answer) = match result {
            Ok(answer) => (Some(answer.status), None, Some(answer)),
            Err(failure) => (failure.status(), Some(failure.code()), None),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        (Outcome { status, attempts, error_code, duration_ms }, answer)
    }

    async fn attempt(&self, request: &Request) -> Result<Answer, Failure> {
        let client = self.client(request.overrides.connect).map_err(|_| Failure::Connect)?;
        let mut hop = request.start();
        for _ in 0..=REDIRECTS {
            // The time to connect counts in it; a local receiver is connected to in no time.
            let response = timeout(request.overrides.read, request.build(&client, &hop).send()).await;
            let response = response.map_err(|_| Failure::Read)?.map_err(why)?;
            let status = response.status().as_u16();
            match status {
                200..=299 => return read(response, request.overrides.read).await,
                301..=303 | 307 | 308 => {}
                _ => return Err(Failure::Status(status)),
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| hop.redirected(status, location));
            hop = next.ok_or(Failure::Redirects { status })?;
        }
        Err(Failure::Redirects { status: 302 })
    }

    /// The client with this connect time-out, which `reqwest` sets for a client and not for a request.
    fn client(&self, connect: Duration) -> Result<Client, reqwest::Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect) {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .connect_timeout(connect)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            // Webhooks go to the machine itself or beside it, never through the proxy of its environment.
            .no_proxy()
            .build()?;
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(connect, client.clone());
        Ok(client)
    }
}

fn why(error: reqwest::Error) -> Failure {
    if error.is_connect() { Failure::Connect } else { Failure::Read }
}

/// Reads a 2xx to its end.
async fn read(mut response: Response, patience: Duration) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let mut body = BytesMut::new();
    loop {
        let chunk: Option<Bytes> = match timeout(patience, response.chunk()).await {
            Err(_) => return Err(Failure::Answer { status, code: 11_205 }),
            Ok(Err(_)) => return Err(Failure::Answer { status, code: 11_206 }),
            Ok(Ok(chunk)) => chunk,
        };
        let Some(chunk) = chunk else { break };
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            return Err(Failure::Answer { status, code: 11_750 });
        }
    }
    Ok(Answer { status, content_type, body: body.freeze() })
}
