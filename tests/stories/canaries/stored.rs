//! What a stream holds, read as any client of the server could.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casewire_testkit::NatsServer;
use serde_json::{Value, json};

use crate::kit::request;

/// A message as the server has it.
pub(super) struct Stored {
    /// Subject and headers: what is meant for the server, tools and logs.
    pub(super) outside: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// Everything in this stream.
pub(super) async fn all(nats: &NatsServer, stream: &str) -> Vec<Stored> {
    let info = ask(nats, &format!("STREAM.INFO.{stream}"), &json!({})).await;
    let (first, last) = (&info["state"]["first_seq"], &info["state"]["last_seq"]);
    let mut messages = Vec::new();
    for sequence in first.as_u64().unwrap()..=last.as_u64().unwrap() {
        let answer = ask(nats, &format!("STREAM.MSG.GET.{stream}"), &json!({ "seq": sequence })).await;
        messages.extend(answer.get("message").map(stored));
    }
    messages
}

fn stored(message: &Value) -> Stored {
    let bytes = |name: &str| STANDARD.decode(message[name].as_str().unwrap_or_default()).unwrap();
    let subject = message["subject"].as_str().unwrap().as_bytes();
    Stored { outside: [subject, b"\n", &bytes("hdrs")].concat(), payload: bytes("data") }
}

async fn ask(nats: &NatsServer, what: &str, how: &Value) -> Value {
    let answer = request(nats, &format!("$JS.API.{what}"), how.to_string().as_bytes()).await;
    serde_json::from_slice(&answer).unwrap()
}
