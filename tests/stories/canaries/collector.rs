//! A collector of traces that keeps what it is sent, byte for byte.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};

type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

pub(super) struct Collector {
    url: String,
    kept: Kept,
}

impl Collector {
    /// Listens until the test's runtime ends.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Kept::default();
        let data = web::Data::new(kept.clone());
        let keep = async |kept: web::Data<Kept>, body: web::Bytes| {
            kept.lock().unwrap().push(body.to_vec());
            HttpResponse::Ok().content_type("application/x-protobuf").finish()
        };
        let app = move || {
            let traces = web::resource("/v1/traces").route(web::post().to(keep));
            App::new().app_data(data.clone()).app_data(web::PayloadConfig::new(64 << 20)).service(traces)
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        tokio::spawn(server);
        Self { url, kept }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Every request so far: protobuf, in which texts stand as they are.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap().concat()
    }
}
