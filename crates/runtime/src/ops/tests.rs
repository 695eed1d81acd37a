use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::config::DEFAULT_OPS_LISTEN;
use crate::telemetry::Identity;

const IDENTITY: Identity = Identity { role: "worker", version: "1.2.3", revision: "abc" };

fn listening(health: &Health, metrics: &Metrics) -> (SocketAddr, Ops) {
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    (address, start(listener, health.clone(), metrics.clone(), IDENTITY).unwrap())
}

/// The answer to a GET: status line and headers, and the body.
async fn get(address: SocketAddr, target: &str) -> (String, String) {
    ask(address, "GET", target).await
}

async fn ask(address: SocketAddr, method: &str, target: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_process_is_ready_when_started_and_all_conditions_hold_and_not_when_draining() {
    let (health, metrics) = (Health::new(), Metrics::default());
    let latch = health.latch("directory");
    health.check("stream", || Ok(()));
    let (address, ops) = listening(&health, &metrics);
    let ready = async || get(address, "/readyz").await;

    assert!(ready().await.0.starts_with("HTTP/1.1 503"));
    health.started();
    assert_eq!(ready().await.1, "not ok: directory\n");
    latch.set(true);
    assert!(ready().await.0.starts_with("HTTP/1.1 200"));
    health.drain();
    assert!(ready().await.0.starts_with("HTTP/1.1 503"));
    assert!(get(address, "/livez").await.0.starts_with("HTTP/1.1 200"), "draining is no reason to restart");
    ops.stop().await;
}

#[tokio::test]
async fn verbose_readiness_lists_every_check_with_its_reason() {
    let (health, metrics) = (Health::new(), Metrics::default());
    health.started();
    health.check("stream", || Err("no connection for 31 s".to_owned()));
    let (address, _ops) = listening(&health, &metrics);
    let (head, body) = get(address, "/readyz?verbose").await;
    assert!(head.contains("application/json"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ok"], false);
    assert_eq!(body["checks"][0], serde_json::json!({ "name": "started", "ok": true }));
    assert_eq!(body["checks"][2]["reason"], "no connection for 31 s");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let health = Health::new();
    let (address, _ops) = listening(&health, &Metrics::default());
    for (target, status) in [("/livez", "200"), ("/readyz", "503"), ("/metrics", "200")] {
        let (head, body) = ask(address, "HEAD", target).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {head}");
        assert_eq!(body, "", "{target}");
    }
}

#[tokio::test]
async fn metrics_are_openmetrics_with_the_exact_type() {
    let (health, metrics) = (Health::new(), Metrics::default());
    let _beat = health.task("sender");
    let (address, _ops) = listening(&health, &metrics);
    let (head, body) = get(address, "/metrics").await;
    let exact = format!("content-type: {CONTENT_TYPE}\r\n");
    assert!(format!("{head}\r\n").to_ascii_lowercase().contains(&exact), "{head}");
    for line in [
        "casewire_build_info{version=\"1.2.3\",revision=\"abc\",role=\"worker\"} 1",
        "casewire_ready{role=\"worker\"} 0",
        "casewire_task_last_beat_timestamp_seconds{task=\"sender\"} ",
    ] {
        assert!(body.contains(line), "{line} in {body}");
    }
    assert!(body.ends_with("# EOF\n"), "{body}");
    health.started();
    assert!(get(address, "/metrics").await.1.contains("casewire_ready{role=\"worker\"} 1"));
}

#[test]
fn a_task_that_is_silent_for_a_minute_is_not_alive_until_it_beats() {
    let health = Health::new();
    let _sender = health.task("sender");
    let alive =
        |after| health.alive_at(Instant::now() + Duration::from_secs(after)).iter().all(|check| check.ok);
    assert!(alive(59));
    assert!(!alive(62));
    assert!(health.liveness().iter().all(|check| check.ok));
}

#[test]
fn of_several_tasks_of_one_name_the_one_silent_longest_is_shown() {
    let health = Health::new();
    let _silent = health.task("pipeline");
    std::thread::sleep(Duration::from_millis(30));
    health.task("pipeline").now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let shown = health.last_beats()["pipeline"];
    assert!(now - shown >= 0.03, "{} s ago", now - shown);
}

#[test]
fn only_the_default_port_gives_way_when_busy() {
    // Whoever holds it, it is busy now.
    let _held = TcpListener::bind(DEFAULT_OPS_LISTEN);
    assert_ne!(bind(DEFAULT_OPS_LISTEN).unwrap().local_addr().unwrap().port(), DEFAULT_OPS_LISTEN.port());
    let chosen = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    assert!(bind(chosen.local_addr().unwrap()).is_err());
}
