//! Following what happens, live.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::world::{ANNA, World, problem};

const PATIENCE: Duration = Duration::from_secs(10);

/// A client that reads events one at a time.
struct Client {
    answer: Response,
    read: String,
}

impl Client {
    async fn new(world: &World, path: &str) -> Self {
        let answer = world.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut client = Self { answer, read: String::new() };
        // The greeting: from here on nothing is missed.
        assert!(client.block().await.unwrap().contains("retry:"));
        client
    }

    /// The next block; `None` once the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(block);
            }
            let piece = timeout(PATIENCE, self.answer.chunk()).await.expect("an event in time").unwrap()?;
            self.read.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    async fn event(&mut self) -> (i64, Value) {
        loop {
            let block = self.block().await.expect("another event");
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert_eq!(field("event: "), "case");
            return (field("id: ").parse().unwrap(), serde_json::from_str(field("data: ")).unwrap());
        }
    }

    /// Reads until an event of this kind.
    async fn until(&mut self, kind: &str) -> (i64, Value) {
        loop {
            let (id, event) = self.event().await;
            if event["kind"] == kind {
                return (id, event);
            }
        }
    }
}

#[tokio::test]
async fn what_another_process_does_shows_within_a_second() {
    for world in [World::new().await, World::on_postgres().await] {
        let mut client = Client::new(&world, "/api/v1/events").await;
        let number = world.case_of(ANNA, "hello").await;
        let (id, event) = client.event().await;
        assert_eq!((&event["kind"], &event["case"]), (&"case_opened".into(), &number.as_str().into()));
        assert_eq!(event["id"], id);
    }
}

#[tokio::test]
async fn what_the_desk_itself_does_shows_at_once() {
    let world = World::with(|config| config.live.poll = Duration::from_secs(3600)).await;
    let number = world.case_of(ANNA, "hello").await;
    let mut client = Client::new(&world, "/api/v1/events?after=0").await;
    client.until("acknowledgement_queued").await;
    world.reply(&number, "hello yourself", None).await;
    client.until("reply_queued").await;
    world.set_status(&number, "closed").await;
    let (_, event) = client.until("status_set").await;
    assert_eq!(event["words"], "gwen closed the case");
}

#[tokio::test]
async fn who_comes_back_misses_nothing() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let mut client = Client::new(&world, "/api/v1/events?after=0").await;
    let (last, _) = client.until("acknowledgement_queued").await;
    drop(client);
    world.set_status(&number, "closed").await;
    let request = world.request(Method::GET, "/api/v1/events").header("Last-Event-ID", last);
    let mut client = Client { answer: request.send().await.unwrap(), read: String::new() };
    client.block().await;
    let (id, _) = client.until("status_set").await;
    assert!(id > last);
}

#[tokio::test]
async fn a_backlog_longer_than_one_batch_comes_whole() {
    let world = World::with(|config| config.live.batch = 2).await;
    for i in 0..5 {
        world.case_of(&format!("+1206555010{i}"), "hello").await;
    }
    let mut client = Client::new(&world, "/api/v1/events?after=0").await;
    let mut opened = 0;
    while opened < 5 {
        opened += usize::from(client.event().await.1["kind"] == "case_opened");
    }
}

#[tokio::test]
async fn a_silent_connection_is_kept_alive_and_ends_in_time() {
    let world = World::with(|config| {
        config.live.heartbeat = Duration::from_millis(20);
        config.live.connection_life = Duration::from_millis(300);
    })
    .await;
    let mut client = Client::new(&world, "/api/v1/events").await;
    assert_eq!(client.block().await.unwrap(), ": still here");
    while client.block().await.is_some() {}
}

#[tokio::test]
async fn live_pages_end_with_the_process() {
    let world = World::new().await;
    let mut client = Client::new(&world, "/api/v1/events").await;
    world.shut_down();
    while client.block().await.is_some() {}
}

#[tokio::test]
async fn more_live_pages_than_allowed_are_told_to_wait() {
    let world = World::with(|config| config.live.connections = 1).await;
    let _first = Client::new(&world, "/api/v1/events").await;
    let second = world.request(Method::GET, "/api/v1/events").send().await.unwrap();
    let body = problem(second, 503).await;
    assert_eq!(body["type"], "urn:casewire:problem:too-many-streams");
}

#[tokio::test]
async fn a_place_that_is_no_number_is_refused() {
    let world = World::new().await;
    let answer = world.request(Method::GET, "/api/v1/events?after=now").send().await.unwrap();
    problem(answer, 422).await;
}
