//! Clients that mean no good, or do not know better: each costs a bounded time and memory, and nobody else anything.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use casewire_runtime::config;
use casewire_testkit::eventually;
use casewire_twilio::signature;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::front::{Embedded, FORM, Front, SID, SOON, TOKEN, raw_post, signed, text};

/// A whole, signed text, to be sent as bytes.
fn good(sid: &str) -> Vec<u8> {
    let form = text(sid, "hi");
    let header = format!("{}: {}\r\n", signature::HEADER, signed("/inbound/main", &form, TOKEN));
    raw_post("/inbound/main", &header, &form.encode())
}

fn sid(n: u32) -> String {
    format!("SM{n:032x}")
}

async fn open(front: &Front, bytes: &[u8]) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(front.address).await?;
    connection.write_all(bytes).await?;
    Ok(connection)
}

/// All that is answered until the connection ends.
async fn rest(connection: &mut TcpStream) -> Result<String> {
    let mut answer = Vec::new();
    // A reset ends it as well as anything.
    let _ = tokio::time::timeout(SOON, connection.read_to_end(&mut answer)).await.context("it never ends")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn with(server: config::Server) -> Result<(Front, Embedded)> {
    let stream = Embedded::open().await?;
    Ok((Front::serving(stream.stream.clone(), config::Ingest::default(), server).await?, stream))
}

#[tokio::test]
async fn a_head_that_does_not_come_or_trickles_is_given_up_in_time() -> Result<()> {
    let (front, _stream) =
        with(config::Server { head_timeout: Duration::from_millis(500), ..Default::default() }).await?;
    let started = Instant::now();
    let trickling = open(&front, b"POST /inbound/main HTTP/1.1\r\n").await?;
    let (mut read, mut write) = trickling.into_split();
    let trickle = tokio::spawn(async move {
        while write.write_all(b"x-y: z\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, read.read_to_end(&mut answer)).await.context("it never ends")?;
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"), "{answer:?}");
    trickle.await?;
    assert!(started.elapsed() >= Duration::from_millis(500));
    Ok(())
}

/// Proxies and clients open connections in advance. A 408 on one of them would cross with the text that comes at last,
/// and be read as its answer.
#[tokio::test]
async fn a_connection_opened_in_advance_still_takes_a_text_when_the_time_of_a_head_is_over() -> Result<()> {
    let (front, stream) =
        with(config::Server { head_timeout: Duration::from_millis(300), ..Default::default() }).await?;
    let mut early = TcpStream::connect(front.address).await?;
    let given_up = rest(&mut open(&front, b"POST /inbound/main HTTP/1.1\r\n").await?).await?;
    assert!(given_up.starts_with("HTTP/1.1 408"), "{given_up}");
    early.write_all(&good(&sid(1))).await?;
    let answer = rest(&mut early).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(stream.events().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_connection_on_which_nothing_ever_comes_is_closed_without_a_word() -> Result<()> {
    let keep_alive = Duration::from_millis(300);
    let (front, _stream) = with(config::Server { keep_alive, ..Default::default() }).await?;
    let started = Instant::now();
    let answer = rest(&mut TcpStream::connect(front.address).await?).await?;
    assert_eq!(answer, "");
    assert!((keep_alive..SOON).contains(&started.elapsed()), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() -> Result<()> {
    let (front, stream) =
        with(config::Server { keep_alive: Duration::from_millis(300), ..Default::default() }).await?;
    let request = String::from_utf8(good(&sid(1)))?.replace("connection: close\r\n", "");
    let started = Instant::now();
    let answer = rest(&mut open(&front, request.as_bytes()).await?).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!((Duration::from_millis(300)..SOON).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(stream.events().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn beyond_the_connections_allowed_others_wait_their_turn_and_are_served_then() -> Result<()> {
    let settings = config::Server {
        workers: std::num::NonZeroU16::MIN,
        max_connections: NonZeroU32::new(2).context("not 0")?,
        keep_alive: Duration::from_secs(1),
        ..Default::default()
    };
    let (front, stream) = with(settings).await?;
    let _hogs = [TcpStream::connect(front.address).await?, TcpStream::connect(front.address).await?];
    let started = Instant::now();
    // One more than the limit may be accepted while it is noticed; the next ones wait for a hog's time to be over.
    for n in 0..3 {
        let answer = front.raw(&good(&sid(n))).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(started.elapsed() >= Duration::from_millis(500), "nobody waited: {:?}", started.elapsed());
    assert_eq!(stream.events().await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn heads_that_are_too_large_ambiguous_or_no_http_are_refused() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let form = text(SID, "hi").encode();
    let signature = signed("/inbound/main", &text(SID, "hi"), TOKEN);
    let request = |headers: &str| {
        format!(
            "POST /inbound/main HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {FORM}\r\n\
             {}: {signature}\r\n{headers}\r\n{form}",
            signature::HEADER
        )
    };
    let length = form.len();
    let cases = [
        (
            "a header of 200 KiB",
            request(&format!("content-length: {length}\r\nx: {}\r\n", "y".repeat(200 << 10))),
        ),
        ("300 headers", request(&format!("content-length: {length}\r\n{}", "x: y\r\n".repeat(300)))),
        ("two lengths", request(&format!("content-length: {length}\r\ncontent-length: 1\r\n"))),
        ("a length that is none", request("content-length: +5\r\n")),
        (
            "length and chunks",
            request(&format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n")),
        ),
        ("an encoding nobody knows", request("transfer-encoding: rot13\r\n")),
        ("a folded header", request(&format!("content-length: {length}\r\nx: y\r\n z\r\n"))),
        ("a header with a NUL", request(&format!("content-length: {length}\r\nx: \0\r\n"))),
        ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned()),
    ];
    for (what, request) in cases {
        let mut connection = TcpStream::connect(front.address).await?;
        // It may hang up before it has read all.
        let _ = connection.write_all(request.as_bytes()).await;
        let answer = rest(&mut connection).await?;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
    }
    assert_eq!(stream.events().await?, []);
    let answer = front.raw(&good(&sid(7))).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "others are served: {answer}");
    Ok(())
}

#[tokio::test]
async fn a_length_that_says_too_little_leaves_a_text_unsigned_and_one_that_says_too_much_unstored()
-> Result<()> {
    let stream = Embedded::open().await?;
    let settings = config::Ingest { body_timeout: Duration::from_millis(300), ..Default::default() };
    let front = Front::with(stream.stream.clone(), settings).await?;
    let form = text(SID, "hi").encode();
    let request = String::from_utf8(good(SID))?;
    let says = format!("content-length: {}", form.len());
    for (lie, expected) in [(form.len() - 5, "HTTP/1.1 403"), (form.len() + 5, "HTTP/1.1 408")] {
        let request = request.replace(&says, &format!("content-length: {lie}"));
        let answer = rest(&mut open(&front, request.as_bytes()).await?).await?;
        assert!(answer.starts_with(expected), "{lie}: {answer}");
    }
    assert_eq!(stream.events().await?, []);
    Ok(())
}

#[tokio::test]
async fn requests_sent_without_waiting_are_answered_in_their_order() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let keep = |sid: &str| String::from_utf8(good(sid)).map(|text| text.replace("connection: close\r\n", ""));
    let unsigned =
        String::from_utf8(raw_post("/inbound/main", "", "Body=hi"))?.replace("connection: close\r\n", "");
    let all = [keep(&sid(1))?, unsigned, keep(&sid(2))?, String::from_utf8(good(&sid(3)))?].concat();
    let answer = rest(&mut open(&front, all.as_bytes()).await?).await?;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "403", "200", "200"]);
    assert_eq!(stream.events().await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn old_http_and_doubled_headers_are_no_way_around_the_signature() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let old = String::from_utf8(good(&sid(1)))?.replace("HTTP/1.1", "HTTP/1.0");
    let answer = front.raw(old.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let form = text(&sid(2), "hi");
    let (name, right) = (signature::HEADER, signed("/inbound/main", &form, TOKEN));
    // The first one counts, so that nobody behind a proxy that appends its own can choose.
    for (headers, expected) in [
        (format!("{name}: wrong\r\n{name}: {right}\r\n"), "HTTP/1.1 403"),
        (format!("{name}: {right}\r\n{name}: wrong\r\n"), "HTTP/1.1 200"),
        (format!("{name}: {right},{right}\r\n"), "HTTP/1.1 403"),
        (format!("{name}: \u{e9}\r\n"), "HTTP/1.1 403"),
    ] {
        let answer = front.raw(&raw_post("/inbound/main", &headers, &form.encode())).await?;
        assert!(answer.starts_with(expected), "{headers}: {answer}");
    }
    assert_eq!(stream.events().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn many_who_hold_their_connections_keep_nobody_from_texting() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let half = b"POST /inbound/main HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nB";
    let mut held = Vec::new();
    for n in 0..300 {
        held.push(open(&front, if n % 2 == 0 { half } else { &half[..20] }).await?);
    }
    let started = Instant::now();
    for n in 0..20 {
        assert!(front.raw(&good(&sid(n))).await?.starts_with("HTTP/1.1 200"));
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // Each of them is given up in time, heads after three seconds and bodies after five.
    let counted = async || front.metric(INVALID).is_ok_and(|count| count == "150");
    eventually("the slow bodies are given up", SOON, counted).await?;
    assert_eq!(stream.events().await?.len(), 20);
    Ok(())
}

const INVALID: &str = "casewire_webhook_requests_total{kind=\"inbound\",outcome=\"rejected_invalid\"}";
