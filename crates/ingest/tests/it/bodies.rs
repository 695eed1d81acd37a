//! What is no webhook is refused clearly, and nothing of it is kept.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use casewire_runtime::config;
use casewire_twilio::signature;
use reqwest::{Body, Method as Verb, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::front::{Embedded, FORM, Front, SID, SOON, TOKEN, signed, text};

#[tokio::test]
async fn ten_megabytes_are_refused_with_413_however_they_are_sent() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let large = vec![b'x'; 10 << 20];
    let declared = front.request(Verb::POST, "/inbound/main").header("content-type", FORM);
    assert_eq!(declared.body(large.clone()).send().await?.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let chunks: Vec<_> =
        large.chunks(64 << 10).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let chunked = front.request(Verb::POST, "/inbound/main").header("content-type", FORM);
    let chunked = chunked.body(Body::wrap_stream(futures_util::stream::iter(chunks)));
    assert_eq!(chunked.send().await?.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(stream.events().await?, []);
    Ok(())
}

#[tokio::test]
async fn the_largest_body_allowed_is_taken_and_one_byte_more_is_not() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let empty = text(SID, "").encode().len();
    for (spare, expected) in [(0, StatusCode::OK), (1, StatusCode::PAYLOAD_TOO_LARGE)] {
        let form = text(SID, &"x".repeat((128 << 10) - empty + spare));
        assert_eq!(front.post("/inbound/main", &form).await?.status(), expected);
    }
    assert_eq!(stream.events().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_with_408() -> Result<()> {
    let stream = Embedded::open().await?;
    let settings = config::Ingest { body_timeout: Duration::from_millis(300), ..Default::default() };
    let front = Front::with(stream.stream.clone(), settings).await?;
    let mut connection = TcpStream::connect(front.address).await?;
    let head = format!(
        "POST /inbound/main HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 100\r\n\r\nBody"
    );
    let started = Instant::now();
    connection.write_all(head.as_bytes()).await?;
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, connection.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(started.elapsed() >= Duration::from_millis(300));
    Ok(())
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_at_the_same_time() -> Result<()> {
    let stream = Embedded::open().await?;
    let settings = config::Ingest { body_timeout: Duration::from_millis(500), ..Default::default() };
    let front = Front::with(stream.stream.clone(), settings).await?;
    let (mut read, mut write) = TcpStream::connect(front.address).await?.into_split();
    let trickle = tokio::spawn(async move {
        let head = format!(
            "POST /inbound/main HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 9999\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await?;
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    });
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, read.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"HTTP/1.1 408");
    trickle.abort();
    Ok(())
}

#[tokio::test]
async fn too_many_parameters_bad_escapes_and_invalid_utf8_are_malformed() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let many = (0..300).map(|n| format!("p{n}=x")).collect::<Vec<_>>().join("&");
    let long = format!("{}=x", "n".repeat(129));
    for body in [many.as_bytes(), long.as_bytes(), b"Body=%FF", b"Body=\xff", b"Body=100%", b"Body=%zz"] {
        let request = front.request(Verb::POST, "/inbound/main").header("content-type", FORM);
        assert_eq!(
            request.body(body.to_vec()).send().await?.status(),
            StatusCode::BAD_REQUEST,
            "{}",
            body.escape_ascii()
        );
    }
    let json = front.request(Verb::POST, "/inbound/main").header("content-type", "application/json");
    assert_eq!(json.body("{").send().await?.status(), StatusCode::BAD_REQUEST);
    assert_eq!(stream.events().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_parameter_that_nobody_documented_is_taken_with_a_long_name_too() -> Result<()> {
    let (front, stream) = Front::start().await?;
    for (length, expected) in [(128, StatusCode::OK), (129, StatusCode::BAD_REQUEST)] {
        let mut form = text(SID, "hi");
        form.push(&"n".repeat(length), "x");
        assert_eq!(front.post("/inbound/main", &form).await?.status(), expected, "{length}");
    }
    assert_eq!(stream.events().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn compressed_bodies_and_other_types_are_refused_even_if_signed() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let form = text(SID, "hi");
    for (header, value) in [
        ("content-encoding", "gzip"),
        ("content-encoding", "br"),
        ("content-type", "text/plain"),
        ("content-type", "multipart/form-data; boundary=x"),
    ] {
        let request = front.request(Verb::POST, "/inbound/main");
        let request = if header == "content-type" { request } else { request.header("content-type", FORM) };
        let request =
            request.header(header, value).header(signature::HEADER, signed("/inbound/main", &form, TOKEN));
        assert_eq!(
            request.body(form.encode()).send().await?.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{value}"
        );
    }
    assert_eq!(stream.events().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_body_leaves_nothing_behind() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let form = text(SID, "hi").encode();
    let mut connection = TcpStream::connect(front.address).await?;
    let head = format!(
        "POST /inbound/main HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {}\r\n\r\n{form}",
        form.len() + 1
    );
    connection.write_all(head.as_bytes()).await?;
    drop(connection);
    // The next one is served, by the same thread or another.
    let answer = front.post("/inbound/main", &text("SM00000000000000000000000000000002", "hi")).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    let events = stream.events().await?;
    assert!(events.first().context("an event")?.dedupe_id.as_str().ends_with('2') && events.len() == 1);
    Ok(())
}
