//! What can be seen of a run: one trace for a text, and nothing of what people wrote.

use crate::kit::{Collector, Span};
use crate::scraper::Scraper;
use crate::search::{Canary, found};
use crate::stack::Stack;

/// How the text of a customer's webhook becomes a delivered reply, over all processes: spans, each below the one
/// before.
const PATH: [(&str, &str); 5] = [
    ("casewire-ingest", "POST /inbound/{line}"),
    ("casewire-ingest", "publish inbound"),
    ("casewire-worker", "process inbound"),
    ("casewire-worker", "send sms"),
    ("casewire-worker", "POST"),
];

/// Whether one trace leads from a webhook to the request that sends what it is answered with, and the report of its
/// delivery to that.
pub(crate) fn is_followed(collector: &Collector) -> bool {
    let spans = collector.spans();
    let delivered = |send: &Span| {
        spans.iter().any(|span| {
            let linked = span.links.contains(&(send.trace.clone(), send.id.clone()));
            linked && span.name == "process inbound" && span.says("sms.status") == "delivered"
        })
    };
    ends(&spans).into_iter().any(|post| {
        let send = spans.iter().find(|span| (&span.trace, &span.id) == (&post.trace, &post.parent));
        send.is_some_and(delivered)
    })
}

/// The last spans of every whole path.
fn ends(spans: &[Span]) -> Vec<&Span> {
    let is = |span: &Span, (service, name): (&str, &str)| span.service == service && span.name == name;
    let first = spans.iter().filter(|span| span.parent.is_empty() && is(span, PATH[0])).collect();
    PATH[1..].iter().fold(first, |above: Vec<&Span>, step| {
        let below = |span: &&Span| {
            is(span, *step) && above.iter().any(|up| (&up.trace, &up.id) == (&span.trace, &span.parent))
        };
        spans.iter().filter(below).collect()
    })
}

/// What must be nowhere: what people wrote, their numbers, and the secrets that compose's first service made.
pub(crate) fn canaries(stack: &Stack, words: &[&str], numbers: &[&str], token: &str) -> Vec<Canary> {
    let words = words.iter().map(|word| Canary::new("a text", word));
    let numbers = numbers.iter().flat_map(|number| Canary::number("a customer's number", number));
    let line = Canary::new("the line's number", "+15550100");
    let secrets = ["keys/master-key", "stream/password", "database/password", "twilio/auth-token"];
    let secrets = secrets.map(|name| Canary::new(name, &stack.secret(name)));
    let token = Canary::new("an API token", token.trim());
    words.chain(numbers).chain([line, token]).chain(secrets).collect()
}

/// Ends every role, and looks for canaries in all that was logged, measured and traced since the beginning.
pub(crate) async fn nothing_personal(
    stack: &Stack,
    scraper: &Scraper,
    collector: &Collector,
    canaries: &[Canary],
) {
    let mut places = vec![("metrics and exemplars".to_owned(), scraper.everything().await)];
    for role in stack.roles() {
        role.end().await;
        places.push((format!("the log of {}", role.name), role.whole_log()));
    }
    places.push(("the log of nats-server".to_owned(), stack.nats.log()));
    let spans = collector.bytes();
    places.push(("the spans".to_owned(), String::from_utf8_lossy(&spans).into_owned()));
    // The search finds what is there.
    for (place, what) in [
        ("metrics", "casewire_webhook_to_case_duration_seconds_bucket"),
        ("metrics", "trace_id"),
        ("the log of ingest", "webhook_refused"),
        ("the log of worker", "account_refused"),
        ("the log of desk", "\"level\""),
        ("the spans", "casewire-desk"),
    ] {
        let there = |(name, content): &(String, String)| name.starts_with(place) && content.contains(what);
        assert!(places.iter().any(there), "{what:?} is not in {place}");
    }
    let mut problems: Vec<String> =
        places.iter().flat_map(|(place, content)| found(canaries, place, content.as_bytes())).collect();
    problems.extend(found(canaries, "the spans", &spans));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let size: usize = places.iter().map(|(_, content)| content.len()).sum();
    super::say(&format!("no text, number or secret in {} KiB of logs, metrics and spans", size / 1024));
}
