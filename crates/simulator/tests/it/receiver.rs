//! Who receives webhooks: a server that remembers what came and answers as it was told.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature::{self, Keyring, UrlRequest};

use crate::stand::TOKEN;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) content_type: String,
    pub(crate) signature: String,
    pub(crate) idempotency_token: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn parameters(&self) -> Parameters {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let raw = if self.method == "GET" { query.as_bytes() } else { &self.body };
        Parameters::parse(raw, 256).unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> String {
        self.parameters().get(name).unwrap_or("(absent)").to_owned()
    }

    /// Whether it is signed with this token for this origin.
    pub(crate) fn is_signed(&self, origin: &str, token: &str) -> bool {
        let request = UrlRequest {
            url: &format!("{origin}{}", self.target),
            method: &self.method,
            content_type: &self.content_type,
            body: &self.body,
            signature: Some(&self.signature),
            settings: None,
        };
        signature::verify_url(&request, &Keyring::new(&[token.into()], &[])).is_ok()
    }
}

/// What is answered to the request of this number, from 0.
pub(crate) type Answer = fn(usize, &Received) -> Told;

#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

pub(crate) fn tell(status: u16) -> Told {
    Told { status, headers: Vec::new(), body: String::new(), after: Duration::ZERO }
}

pub(crate) fn twiml() -> Told {
    let kind = ("Content-Type", "text/xml".to_owned());
    Told { headers: vec![kind], body: casewire_twilio::twiml::EMPTY.to_owned(), ..tell(200) }
}

struct Shared {
    received: Mutex<Vec<Received>>,
    answer: Answer,
}

pub(crate) struct Receiver {
    pub(crate) origin: String,
    shared: Data<Shared>,
    server: ServerHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Receiver {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Data::from(Arc::new(Shared { received: Mutex::default(), answer }));
        let data = shared.clone();
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
                .workers(1)
                .disable_signals()
                .listen(listener)
                .unwrap()
                .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { origin, shared, server: handle }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The `MessageStatus` of every callback, in the order they came.
    pub(crate) fn statuses(&self) -> Vec<String> {
        self.received().iter().map(|request| request.get("MessageStatus")).collect()
    }

    pub(crate) fn is_signed(&self, request: &Received) -> bool {
        request.is_signed(&self.origin, TOKEN)
    }
}

async fn receive(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let received = Received {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        content_type: header("Content-Type").unwrap_or_default().to_owned(),
        signature: header("X-Twilio-Signature").unwrap_or_default().to_owned(),
        idempotency_token: header("I-Twilio-Idempotency-Token").unwrap_or_default().to_owned(),
        authorization: header("Authorization").map(str::to_owned),
        body,
    };
    let told = {
        let mut all = shared.received.lock().unwrap();
        all.push(received.clone());
        (shared.answer)(all.len() - 1, &received)
    };
    tokio::time::sleep(told.after).await;
    let mut answer = HttpResponse::build(StatusCode::from_u16(told.status).unwrap());
    for header in told.headers {
        answer.insert_header(header);
    }
    answer.body(told.body)
}
