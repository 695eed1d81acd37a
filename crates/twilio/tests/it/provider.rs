//! A provider in a few lines: it answers each request with the next of its script and keeps what it was sent.

use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use casewire_twilio::rest::{Client, Config, Credentials};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "s3cret t0ken";
pub(crate) const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// What the provider does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Sends these bytes, then closes.
    Answer(String),
    /// Sends these bytes, then waits for the next request on the same connection.
    AnswerAndKeep(String),
    /// Reads it and says nothing more.
    Hang,
    /// Reads it and resets the connection.
    Reset,
}

impl Act {
    /// A whole answer of this status line, headers and body.
    pub(crate) fn json(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }
}

/// A listener on a free port that plays a script, one act a request.
pub(crate) struct Provider {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Request>>>,
}

impl Provider {
    pub(crate) async fn playing(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut script = script.into_iter().collect::<Vec<_>>().into_iter();
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Some(request) = read(&mut stream).await {
                    log.lock().unwrap().push(request);
                    match script.next() {
                        Some(Act::AnswerAndKeep(bytes)) => {
                            stream.write_all(bytes.as_bytes()).await.unwrap();
                            continue;
                        }
                        Some(Act::Answer(bytes)) => stream.write_all(bytes.as_bytes()).await.unwrap(),
                        // Until the client gives up.
                        Some(Act::Hang) => while read(&mut stream).await.is_some() {},
                        // Closed with nothing lingering, a socket sends a reset.
                        Some(Act::Reset) | None => stream.set_zero_linger().unwrap(),
                    }
                    break;
                }
            }
        });
        Self { url, received }
    }

    /// Everything received so far.
    pub(crate) fn received(&self) -> Vec<Request> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> Client {
        client(&self.url)
    }
}

/// The next request of a connection; `None` when it is closed instead.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut request_line = lines.next().unwrap().split(' ').map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0, "closed within the body");
    }
    let (method, target) = (request_line.next().unwrap(), request_line.next().unwrap());
    Some(Request { method, target, headers, body: String::from_utf8(body).unwrap() })
}

/// A client of the API at this URL, with time-outs short enough to wait for.
pub(crate) fn client(base_url: &str) -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Another may have been installed first; one is enough.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::new(Config {
        base_url: base_url.to_owned(),
        timeout: Duration::from_millis(500),
        max_answer_bytes: 10_000,
        ..Config::default()
    })
    .unwrap()
}

pub(crate) fn credentials() -> Credentials {
    Credentials { account_sid: ACCOUNT.to_owned(), auth_token: TOKEN.into() }
}
