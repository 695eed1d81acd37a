use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::{info, info_span, warn};

use super::*;
use crate::config::Config;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const IDENTITY: Identity = Identity { role: "ingest", version: "1.2.3", revision: "unknown" };

/// What is logged while `act` runs under these settings.
fn logged(variables: &[(&str, &str)], act: impl FnOnce()) -> Sink {
    let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = Config::load(None, env, Config::default()).unwrap().telemetry;
    let sink = Sink::default();
    let writer = sink.clone();
    let (subscriber, guard) = subscriber(&settings, IDENTITY, false, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, act);
    drop(guard);
    sink
}

#[test]
fn a_line_is_one_object_with_its_trace_and_the_fields_around_it() {
    let sink = logged(&[], || {
        let outer = info_span!("outer", line = "demo", outcome = tracing::field::Empty).entered();
        outer.record("outcome", "accepted");
        info_span!("inner", attempt = 2_u64).in_scope(|| info!(event = "stored", "the text is \"stored\""));
        info!("still in the outer one");
    });
    let lines = sink.lines();
    let [inner, outer] = lines.as_slice() else { panic!("{lines:?}") };
    for (name, value) in [
        ("message", "the text is \"stored\""),
        ("event", "stored"),
        ("level", "INFO"),
        ("role", "ingest"),
        ("version", "1.2.3"),
        ("line", "demo"),
        ("outcome", "accepted"),
    ] {
        assert_eq!(inner[name], value);
    }
    assert_eq!(inner["attempt"], 2);
    assert_eq!(inner["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!(inner["trace_id"], outer["trace_id"]);
    assert_ne!(inner["span_id"], outer["span_id"]);
}

#[test]
fn a_warning_carries_its_trace_even_where_information_is_filtered_out() {
    let sink = logged(&[("CASEWIRE_TELEMETRY__LOG_FILTER", "warn")], || {
        let _span = info_span!("outer").entered();
        info!("not written");
        warn!("written");
    });
    let lines = sink.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["trace_id"].as_str().map(str::len), Some(32));
}

#[test]
fn a_trace_goes_on_where_its_context_was_carried_to() {
    let goes_on = || {
        let cause = info_span!("publish");
        let kept = trace::parent_of(&cause).unwrap();
        let effect = info_span!("process");
        trace::set_parent(&effect, &kept);
        let trace_id = |span: &tracing::Span| trace::parent_of(span).unwrap().as_str()[3..35].to_owned();
        assert_eq!(trace_id(&effect), trace_id(&cause));
        assert_eq!(trace_id(&info_span!(parent: &effect, "decide")), trace_id(&cause));
        let unrelated = info_span!(parent: None, "other");
        trace::link(&unrelated, &kept);
        assert_ne!(trace_id(&unrelated), trace_id(&cause));
    };
    let collector = [("CASEWIRE_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:9")];
    for settings in [&collector[..0], &collector] {
        logged(settings, goes_on);
    }
    assert_eq!(trace::parent_of(&tracing::Span::current()), None);
}

#[test]
fn text_is_for_people() {
    let sink = logged(&[("CASEWIRE_TELEMETRY__LOG_FORMAT", "text")], || info!("ready"));
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("INFO") && text.contains("ready") && !text.starts_with('{'), "{text}");
}

/// A collector that takes one request: the head and the body.
fn collector() -> (String, std::thread::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let collected = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let n = stream.read(&mut chunk).unwrap();
            bytes.extend_from_slice(&chunk[..n]);
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if bytes.len() >= end + 4 + length.parse::<usize>().unwrap() {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                return (head, bytes.split_off(end + 4));
            }
        }
    });
    (url, collected)
}

#[tokio::test]
async fn spans_reach_the_collector_without_fields_of_no_use() {
    let (url, collected) = collector();
    let settings =
        [("CASEWIRE_TELEMETRY__OTLP_ENDPOINT", url.as_str()), ("CASEWIRE_TELEMETRY__SAMPLE_RATIO", "1")];
    logged(&settings, || info_span!("webhook", outcome = "accepted").in_scope(|| info!("inside")));
    let (head, body) = collected.join().unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(head.starts_with("post /v1/traces "), "{head}");
    for present in ["casewire-ingest", "1.2.3", "webhook", "outcome", "accepted"] {
        assert!(body.contains(present), "{present} in {body}");
    }
    for absent in ["code.file", "code.line", "thread.id", "busy_ns", "idle_ns"] {
        assert!(!body.contains(absent), "{absent} in {body}");
    }
}

#[test]
fn a_collector_that_does_not_answer_holds_the_end_up_for_two_seconds_at_most() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings =
        [("CASEWIRE_TELEMETRY__OTLP_ENDPOINT", url.as_str()), ("CASEWIRE_TELEMETRY__SAMPLE_RATIO", "1")];
    let started = Instant::now();
    logged(&settings, || info_span!("webhook").in_scope(|| ()));
    assert!(started.elapsed() < FLUSH_LIMIT + Duration::from_secs(1), "{:?}", started.elapsed());
}
