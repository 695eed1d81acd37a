//! A real nginx with TLS and a path prefix before casewire, on the configuration that is delivered.

use std::path::{Path, PathBuf};

use casewire_testkit::{Casewire, nginx, port};
use reqwest::{Certificate, Client, StatusCode};

use crate::kit::{Desk, Home, Hook, SOON, Up, bodies, message_sid};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const CUSTOMER: &str = "+12065550100";

/// nginx as deploy/nginx/casewire.conf has it, on ports of its own.
struct Proxy {
    _process: Casewire,
    /// Where Twilio would call, prefix included.
    public_url: String,
}

impl Proxy {
    /// Starts it on a port of its own, before what listens at `upstream` (`host:port`).
    async fn start(folder: &Path, port: u16, upstream: &str) -> Self {
        let config = config(folder, port, upstream);
        let process = Casewire::at(nginx().unwrap()).arg("-c").arg(config).arg("-p").arg(folder);
        let process = process.spawn().unwrap();
        let public_url = format!("https://127.0.0.1:{port}/texts");
        casewire_testkit::eventually("nginx answers", SOON, async || {
            let elsewhere = format!("https://127.0.0.1:{port}/");
            let answer = client().get(elsewhere).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND)
        })
        .await
        .unwrap();
        Self { _process: process, public_url }
    }
}

/// The delivered configuration with these ports, our tests' certificate and files of its own.
fn config(folder: &Path, port: u16, upstream: &str) -> PathBuf {
    let delivered = std::fs::read_to_string(format!("{ROOT}/deploy/nginx/casewire.conf")).unwrap();
    let tls = format!("{ROOT}/crates/bus/tests/it/tls/server");
    let mut site = delivered
        .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port} ssl;"))
        .replace("server 127.0.0.1:8080;", &format!("server {upstream};"))
        .replace("/var/log/nginx", folder.to_str().unwrap());
    for name in ["sms", "desk"] {
        site = site.replace(&format!("/etc/nginx/tls/{name}.pem"), &format!("{tls}.pem"));
        site = site.replace(&format!("/etc/nginx/tls/{name}.key"), &format!("{tls}.key"));
    }
    assert!(
        !site.contains("/etc/nginx") && !site.contains(":8080;"),
        "the configuration has changed: {site}"
    );
    std::fs::write(folder.join("casewire.conf"), site).unwrap();
    let main = format!(
        "daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/error.log; events {{}}\n\
         http {{ client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; include {0}/casewire.conf; }}\n",
        folder.display()
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, main).unwrap();
    path
}

/// One that trusts the certificate of our tests alone.
fn client() -> Client {
    casewire_testkit::http::install_tls();
    let authority = std::fs::read(format!("{ROOT}/crates/bus/tests/it/tls/ca.pem")).unwrap();
    let authority = Certificate::from_pem(&authority).unwrap();
    Client::builder().tls_certs_only([authority]).timeout(SOON).build().unwrap()
}

/// `up` behind nginx, with a line; and what calls it through nginx.
async fn behind_nginx(home: &Home, folder: &Path) -> (Up, Proxy, Hook) {
    let port = port::free().unwrap();
    let proxy = Proxy::start(folder, port, home.url().trim_start_matches("http://")).await;
    let up = home.up().env("CASEWIRE_SERVER__PUBLIC_URL", &proxy.public_url).spawn().unwrap();
    let up = Up::ready(up).await;
    let line = home.line_at(&proxy.public_url, client()).await;
    (up, proxy, line)
}

#[tokio::test]
async fn a_signed_webhook_through_nginx_with_tls_and_a_path_prefix_is_verified() {
    let (home, folder) = (Home::on_one_port(), tempfile::TempDir::new().unwrap());
    let (up, _proxy, hook) = behind_nginx(&home, folder.path()).await;
    let path = format!("/inbound/{}", hook.line);
    // Words, signs and a query that a proxy which decodes and encodes again would change.
    let form = hook.form(&message_sid(), CUSTOMER, "R&D costs 50 % + \u{1f525}, it's \"broken\"");
    for path in [path.clone(), format!("{path}?a=%27b%20c&d=%C3%A9+f%2f")] {
        assert_eq!(hook.post(&path, &form).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let callback = hook.status(&format!("{path}/status"), &message_sid(), "delivered").await.unwrap();
    assert_eq!(callback.status(), StatusCode::NO_CONTENT);

    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let case =
        desk.case_when("00001001", "the text is in its case", |case| !bodies(case, "inbound").is_empty());
    assert_eq!(bodies(&case.await, "inbound"), ["R&D costs 50 % + \u{1f525}, it's \"broken\""]);
    assert!(up.process.stdout().contains(&hook.public_url), "the printed webhook URL has host and prefix");
}

#[tokio::test]
async fn through_nginx_what_was_signed_for_another_url_is_refused_and_nothing_else_is_reached() {
    let (home, folder) = (Home::on_one_port(), tempfile::TempDir::new().unwrap());
    let (up, proxy, hook) = behind_nginx(&home, folder.path()).await;
    let path = format!("/inbound/{}", hook.line);
    let form = hook.form(&message_sid(), CUSTOMER, "hello");
    // As if the prefix, or TLS, were not known to casewire.
    let without_prefix = proxy.public_url.trim_end_matches("/texts");
    for wrong in [without_prefix.to_owned(), proxy.public_url.replace("https", "http"), up.base.clone()] {
        let stranger = Hook { public_url: wrong, ..hook.clone() };
        assert_eq!(stranger.post(&path, &form).await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    for path in ["/api/v1/cases", "/metrics", "/readyz"] {
        let answer = client().get(format!("{}{path}", proxy.public_url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let log = std::fs::read_to_string(folder.path().join("casewire.log")).unwrap();
    assert!(log.contains(&path) && !log.contains(CUSTOMER), "{log}");
}
