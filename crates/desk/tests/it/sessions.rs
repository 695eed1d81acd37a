//! The page, its one-time link and its session.

use casewire_runtime::config::HttpUrl;
use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ANNA, LINE, World, cookie, problem};

#[tokio::test]
async fn a_one_time_link_signs_a_browser_in_once() {
    let world = World::new().await;
    let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
    let path = format!("/demo?link={link}");
    let answer = world.bare(Method::GET, &path).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/demo".parse().unwrap()));
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    let session = cookie(&answer).unwrap();

    let page = world.bare(Method::GET, "/demo").header("Cookie", &session).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("id=\"handset\""));

    let again = world.bare(Method::GET, &path).send().await.unwrap();
    assert_eq!((again.status().as_u16(), cookie(&again)), (403, None));
    assert!(again.text().await.unwrap().contains("start casewire again"));
    // The browser that used it simply goes on.
    let back = world.bare(Method::GET, &path).header("Cookie", &session).send().await.unwrap();
    assert_eq!(back.status(), 303);
}

/// Cookies know no ports: with one name, whoever signs in at one desk would be signed out at the other.
#[tokio::test]
async fn two_desks_on_one_machine_keep_their_sessions_apart() {
    for world in [World::new().await, World::new().await] {
        let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
        let answer = world.bare(Method::GET, &format!("/demo?link={link}")).send().await.unwrap();
        let port = world.url.rsplit(':').next().unwrap();
        let session = cookie(&answer).unwrap();
        assert!(session.starts_with(&format!("casewire_{port}=")), "{session}");
    }
}

#[tokio::test]
async fn two_clicks_at_once_sign_one_browser_in() {
    for world in [World::new().await, World::on_postgres().await] {
        let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
        let path = format!("/demo?link={link}");
        let clicks = (0..8).map(|_| async { world.bare(Method::GET, &path).send().await.unwrap().status() });
        let answers = futures_util::future::join_all(clicks).await;
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
    }
}

#[tokio::test]
async fn an_old_link_or_rubbish_signs_nobody_in() {
    let world = World::new().await;
    let old = world.new_link(Utc::now() - TimeDelta::seconds(1)).await;
    for link in [old.as_str(), "", "x", &"A".repeat(43), "%00", "a\u{301}"] {
        let answer = world.bare(Method::GET, &format!("/demo?link={link}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), cookie(&answer)), (403, None), "{link}");
    }
}

#[tokio::test]
async fn a_page_fetched_ahead_does_not_use_the_link_up() {
    let world = World::new().await;
    let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
    let ahead =
        world.bare(Method::GET, &format!("/demo?link={link}")).header("Sec-Purpose", "prefetch;prerender");
    assert_eq!(ahead.send().await.unwrap().status(), 503);
    let meant = world.bare(Method::GET, &format!("/demo?link={link}")).send().await.unwrap();
    assert_eq!(meant.status(), 303);
}

#[tokio::test]
async fn head_looks_at_the_page_and_leaves_the_link() {
    let world = World::new().await;
    let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
    let path = format!("/demo?link={link}");
    for (path, status) in [("/", 303), ("/demo", 401), ("/demo/assets/app.js", 200), (path.as_str(), 303)] {
        let answer = world.bare(Method::HEAD, path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), cookie(&answer)), (status, None), "{path}");
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    let meant = world.bare(Method::GET, &path).send().await.unwrap();
    assert!(cookie(&meant).is_some(), "the link still signs in");
}

#[tokio::test]
async fn followed_from_another_site_the_link_goes_on_by_a_page_of_ours() {
    let world = World::new().await;
    let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
    let request =
        world.bare(Method::GET, &format!("/demo?link={link}")).header("Sec-Fetch-Site", "cross-site");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(cookie(&answer).is_some());
    assert!(answer.text().await.unwrap().contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn without_a_session_the_page_says_how_to_get_one() {
    let world = World::new().await;
    let page = world.bare(Method::GET, "/demo").send().await.unwrap();
    assert_eq!(page.status(), 401);
    assert!(page.text().await.unwrap().contains("prints a link"));
    problem(world.bare(Method::GET, "/demo/config.json").send().await.unwrap(), 401).await;
    let forged = world.bare(Method::GET, "/api/v1/cases").header("Cookie", "casewire_1=x");
    problem(forged.send().await.unwrap(), 401).await;
}

#[tokio::test]
async fn the_page_reads_and_changes_cases_by_its_session() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let session = world.sign_in().await;
    let list: Value = world
        .bare(Method::GET, "/api/v1/cases")
        .header("Cookie", &session)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(list["items"][0]["number"], number.as_str());
    let path = format!("/api/v1/cases/{number}");
    let close =
        world.bare(Method::PATCH, &path).header("Cookie", &session).json(&json!({ "status": "closed" }));
    let answer = close.header("Sec-Fetch-Site", "same-origin").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn what_another_site_makes_the_browser_send_changes_nothing() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let session = world.sign_in().await;
    let own = world.url.as_str();
    let close = |headers: &'static [(&'static str, &'static str)], origin: Option<&str>| {
        let path = format!("/api/v1/cases/{number}");
        let mut request = world.bare(Method::PATCH, &path).header("Cookie", &session);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        request.json(&json!({ "status": "closed" })).send()
    };
    problem(close(&[("Sec-Fetch-Site", "cross-site")], Some(own)).await.unwrap(), 403).await;
    problem(close(&[("Sec-Fetch-Site", "same-site")], None).await.unwrap(), 403).await;
    problem(close(&[], Some("http://evil.example")).await.unwrap(), 403).await;
    problem(close(&[], Some("null")).await.unwrap(), 403).await;
    problem(close(&[], None).await.unwrap(), 403).await;
    assert_eq!(world.get(&format!("/api/v1/cases/{number}")).await["status"], "open");
    assert_eq!(close(&[], Some(own)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_page_is_told_its_line_and_whether_there_is_a_handset() {
    let world = World::new().await;
    let session = world.sign_in().await;
    let request = world.bare(Method::GET, "/demo/config.json").header("Cookie", &session);
    let shown: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&shown["handset"], &shown["line"]["number"]), (&json!(true), &json!(LINE)));
    assert_eq!(shown["line"]["webhook_url"], "http://127.0.0.1:8080/inbound/demo");
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline() {
    let world = World::new().await;
    let session = world.sign_in().await;
    let page = world.bare(Method::GET, "/demo").header("Cookie", &session).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let html = page.text().await.unwrap();
    for wrong in ["style=", "onclick", "<script>", "<style", "http://", "https://"] {
        assert!(!html.contains(wrong), "{wrong}");
    }
    let own = html.split(['"']).filter(|part| part.starts_with("/demo/assets/"));
    for path in own {
        let asset = world.bare(Method::GET, path).send().await.unwrap();
        assert_eq!(asset.status(), 200, "{path}");
        let etag = asset.headers()["etag"].clone();
        let text = asset.text().await.unwrap();
        assert!(!text.contains("innerHTML") && !text.contains("insertAdjacentHTML"), "{path}");
        let known = world.bare(Method::GET, path).header("If-None-Match", etag).send().await.unwrap();
        assert_eq!(known.status(), 304, "{path}");
    }
    assert_eq!(world.bare(Method::GET, "/demo/assets/app.rs").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn behind_tls_the_cookie_is_secure() {
    let world = World::with(|config| config.public_url = HttpUrl::parse("https://desk.example.org")).await;
    let link = world.new_link(Utc::now() + TimeDelta::minutes(5)).await;
    let request = world.bare(Method::GET, &format!("/demo?link={link}")).header("Host", "desk.example.org");
    let answer = request.send().await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("__Host-casewire=") && set.contains("Secure"), "{set}");
}

#[tokio::test]
async fn without_a_demo_there_is_no_page() {
    let world = World::with(|config| config.demo = None).await;
    assert_eq!(world.bare(Method::GET, "/demo").send().await.unwrap().status(), 404);
    assert_eq!(world.bare(Method::GET, "/").send().await.unwrap().status(), 404);
}
