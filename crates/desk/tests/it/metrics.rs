//! What the desk counts.

use std::time::Duration;

use casewire_testkit::eventually;
use reqwest::Method;

use crate::world::{ANNA, World};

const SOON: Duration = Duration::from_secs(20);

impl World {
    /// What one of its metrics says; nothing where it is not shown.
    fn counted(&self, name: &str) -> Option<f64> {
        let text = self.metrics.encode().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.split(' ').next().unwrap().parse().unwrap())
    }
}

#[tokio::test]
async fn requests_are_counted_by_their_route_and_nobody_is_named() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    world.get(&format!("/api/v1/cases/{number}")).await;
    world.request(Method::GET, "/api/v1/nowhere").send().await.unwrap();
    let answered = |route: &str, status: u16| {
        world.counted(&format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"GET\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\"}}"
        ))
    };
    assert_eq!(answered("/api/v1/cases/{number}", 200), Some(1.0));
    assert_eq!(answered("other", 404), Some(1.0));
    assert_eq!(world.counted("http_server_active_requests{http_request_method=\"GET\"}"), Some(0.0));
    let text = world.metrics.encode().unwrap();
    assert!(!text.contains(&number) && !text.contains("nowhere"), "{text}");
}

#[tokio::test]
async fn who_is_not_let_in_is_counted_by_the_reason() {
    let world = World::new().await;
    let refused =
        |reason: &str| world.counted(&format!("casewire_login_failures_total{{reason=\"{reason}\"}}"));
    assert_eq!((refused("no_credentials"), refused("ended_session")), (Some(0.0), Some(0.0)));
    world.bare(Method::GET, "/api/v1/cases").send().await.unwrap();
    world.bare(Method::GET, "/api/v1/cases").bearer_auth("cw_no").send().await.unwrap();
    world.bare(Method::GET, "/demo?link=used").send().await.unwrap();
    for reason in ["no_credentials", "invalid_token", "used_link"] {
        assert_eq!(refused(reason), Some(1.0), "{reason}");
    }
}

#[tokio::test]
async fn first_replies_open_pages_and_the_delay_of_news_are_measured() {
    let world = World::new().await;
    let page = world.request(Method::GET, "/api/v1/events").send().await.unwrap();
    let number = world.case_of(ANNA, "hello").await;
    for text in ["On our way.", "There."] {
        assert_eq!(world.reply(&number, text, None).await.status(), 201);
    }
    assert_eq!(world.counted("casewire_case_first_reply_duration_seconds_count"), Some(1.0));
    assert_eq!(world.counted("casewire_desk_live_connections"), Some(1.0));
    let pushed =
        async || world.counted("casewire_desk_push_delay_seconds_count").is_some_and(|count| count >= 3.0);
    eventually("the news are passed on", SOON, pushed).await.unwrap();
    drop(page);
}
