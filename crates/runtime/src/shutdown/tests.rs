use std::net::TcpListener;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::http;

fn limits(drain: Duration) -> config::Server {
    config::Server { drain_timeout: drain, ..Default::default() }
}

/// Long enough that reaching it is a failure.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn work_in_hand_is_finished_before_the_end() {
    let (shutdown, health) = (Shutdown::new(), Health::new());
    let (finish, finished) = oneshot::channel();
    let (this, other) = (shutdown.clone(), shutdown.clone());
    shutdown.spawn_critical("consumer", async move {
        this.requested().await;
        finished.await
    });
    shutdown.spawn(async move {
        other.requested().await;
        finish.send(()).unwrap();
    });
    shutdown.request();
    let ended = shutdown.run(&limits(LONG), &health, async {}).await.unwrap();
    assert_eq!((ended.exit_code(), ended), (0, Ended::Requested));
    assert!(!health.readiness()[1].ok);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let shutdown = Shutdown::new();
    let (held, dropped) = oneshot::channel::<()>();
    shutdown.spawn(async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    shutdown.request();
    assert_eq!(
        shutdown.run(&limits(Duration::from_millis(50)), &Health::new(), async {}).await.unwrap(),
        Ended::Overdue
    );
    assert!(tokio::time::timeout(LONG, dropped).await.unwrap().is_err(), "the task was dropped");
}

#[tokio::test]
async fn a_critical_task_that_ends_takes_the_others_down_in_order_and_is_named() {
    type End = fn() -> Result<(), String>;
    let ends: [(&str, End); 3] = [
        ("sender failed: no luck", || Err("no luck".to_owned())),
        ("sender ended by itself", || Ok(())),
        ("sender panicked", || panic!("a test's panic")),
    ];
    for (expected, end) in ends {
        let shutdown = Shutdown::new();
        let (sibling, (finished, finish)) = (shutdown.clone(), oneshot::channel());
        shutdown.spawn_critical("sender", async move { end() });
        shutdown.spawn(async move {
            sibling.requested().await;
            finished.send(()).unwrap();
        });
        let ended = shutdown.run(&limits(LONG), &Health::new(), async {}).await.unwrap();
        assert_eq!((ended.exit_code(), ended), (1, Ended::Failed(expected.to_owned())));
        assert_eq!(finish.await, Ok(()), "the other task finished");
    }
}

#[tokio::test]
async fn a_first_signal_asks_and_a_second_does_not_wait() {
    let (shutdown, health) = (Shutdown::new(), Health::new());
    let (send, signals) = tokio::sync::mpsc::channel(2);
    shutdown.spawn(std::future::pending());
    let (this, observed) = (shutdown.clone(), health.clone());
    let settings = config::Server { unready_time: Some(LONG), ..limits(LONG) };
    let run = tokio::spawn(async move { this.run_on(Sent(signals), &settings, &observed, async {}).await });
    send.send(()).await.unwrap();
    wait_for(|| !health.readiness()[1].ok).await;
    assert!(!shutdown.is_requested(), "not ready, and still serving");
    send.send(()).await.unwrap();
    wait_for(|| shutdown.is_requested()).await;
    send.send(()).await.unwrap();
    assert_eq!(tokio::time::timeout(LONG / 2, run).await.unwrap().unwrap(), Ended::Forced);
}

#[tokio::test]
async fn what_cannot_be_closed_holds_the_end_up_for_no_longer_than_its_limit() {
    let settings = config::Server { close_timeout: Duration::from_millis(50), ..limits(LONG) };
    let shutdown = Shutdown::new();
    shutdown.request();
    let health = Health::new();
    let run = shutdown.run(&settings, &health, std::future::pending());
    assert_eq!(tokio::time::timeout(LONG, run).await.unwrap().unwrap(), Ended::Overdue);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_what_cannot_be_closed() {
    let (send, signals) = tokio::sync::mpsc::channel(2);
    let settings = config::Server { close_timeout: LONG * 10, ..limits(LONG * 10) };
    let (closing, closes) = oneshot::channel();
    let close = async move {
        closing.send(()).unwrap();
        std::future::pending().await
    };
    let run =
        tokio::spawn(
            async move { Shutdown::new().run_on(Sent(signals), &settings, &Health::new(), close).await },
        );
    send.send(()).await.unwrap();
    closes.await.unwrap();
    send.send(()).await.unwrap();
    assert_eq!(tokio::time::timeout(LONG, run).await.unwrap().unwrap(), Ended::Forced);
}

#[tokio::test]
async fn what_tasks_work_with_is_closed_after_them() {
    let shutdown = Shutdown::new();
    let (this, (finished, finish)) = (shutdown.clone(), oneshot::channel());
    shutdown.spawn(async move {
        this.requested().await;
        finished.send(()).unwrap();
    });
    shutdown.request();
    let close = async { finish.await.unwrap() };
    let ended = shutdown.run(&limits(LONG), &Health::new(), close).await.unwrap();
    assert_eq!(ended, Ended::Requested);
}

/// Signals that a test sends.
struct Sent(tokio::sync::mpsc::Receiver<()>);

impl Asks for Sent {
    async fn next(&mut self) -> &'static str {
        self.0.recv().await.unwrap();
        "SIGTERM"
    }
}

/// Waits until a condition holds.
async fn wait_for(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + LONG / 2;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "the condition never held");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_request_in_hand_is_answered_whole_although_the_server_stops() {
    let shutdown = Shutdown::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, mut arrival) = tokio::sync::mpsc::unbounded_channel();
    let stop = shutdown.token();
    let routes = move |app: &mut web::ServiceConfig| {
        let (arrived, stop) = (arrived.clone(), stop.clone());
        let handler = move || {
            let (arrived, stop) = (arrived.clone(), stop.clone());
            async move {
                arrived.send(()).unwrap();
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                HttpResponse::Ok().body("whole")
            }
        };
        app.route("/", web::get().to(handler));
        app.route("/quick", web::get().to(async || HttpResponse::Ok().body("hi")));
    };
    let server = http::server(listener, &limits(LONG), &shutdown, routes).unwrap();
    shutdown.spawn_critical("http", http::serve(server, shutdown.clone()));

    let unused = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut idle = tokio::net::TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut idle, "/quick").await.starts_with("HTTP/1.1 200"));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    arrival.recv().await.unwrap();
    shutdown.request();
    let started = tokio::time::Instant::now();
    let ended = shutdown.run(&limits(LONG), &Health::new(), async {}).await.unwrap();
    assert_eq!(ended, Ended::Requested);
    assert!(started.elapsed() < Duration::from_secs(5), "idle connections hold nothing up");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("whole"), "{answer}");
    for mut silent in [unused, idle] {
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn while_it_is_not_ready_a_server_answers_and_asks_its_clients_to_go_elsewhere() {
    let (shutdown, health) = (Shutdown::new(), Health::new());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let routes = |app: &mut web::ServiceConfig| {
        app.route("/", web::get().to(async || HttpResponse::Ok().body("hi")));
    };
    let server = http::server(listener, &limits(LONG), &shutdown, routes).unwrap();
    shutdown.spawn_critical("http", http::serve(server, shutdown.clone()));
    let (send, signals) = tokio::sync::mpsc::channel(2);
    let settings = config::Server { unready_time: Some(LONG), ..limits(LONG) };
    let (this, observed) = (shutdown.clone(), health.clone());
    let run = tokio::spawn(async move { this.run_on(Sent(signals), &settings, &observed, async {}).await });

    let mut kept = tokio::net::TcpStream::connect(address).await.unwrap();
    assert!(!ask(&mut kept, "/").await.contains("connection: close"));
    send.send(()).await.unwrap();
    wait_for(|| !health.readiness()[1].ok).await;
    let mut newcomer = tokio::net::TcpStream::connect(address).await.unwrap();
    for client in [&mut kept, &mut newcomer] {
        let answer = ask(client, "/").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "and it ends the connection");
    }
    send.send(()).await.unwrap();
    assert_eq!(tokio::time::timeout(LONG, run).await.unwrap().unwrap(), Ended::Requested);
}

/// A request on a connection that may be used again; the answer in lower case.
async fn ask(client: &mut tokio::net::TcpStream, path: &str) -> String {
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhi") {
        answer.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap().replace("Connection", "connection")
}

#[tokio::test]
async fn a_person_at_the_keyboard_does_not_wait_for_proxies() {
    struct Interrupted;
    impl Asks for Interrupted {
        async fn next(&mut self) -> &'static str {
            "SIGINT"
        }
    }
    let settings = config::Server { unready_time: Some(LONG), ..limits(LONG) };
    let started = tokio::time::Instant::now();
    Shutdown::new().run_on(Interrupted, &settings, &Health::new(), async {}).await;
    assert!(started.elapsed() < LONG / 2);
}
