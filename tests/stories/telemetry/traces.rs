//! One text, one trace: from its webhook to what is sent for it, and by a link to what is told of that.

use std::time::Duration;

use casewire_domain::directory::Algorithm;
use casewire_simulator::{Fault, Rule};
use casewire_twilio::signature::{HEADER, sign};
use casewire_twilio::webhook::status_path;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::kit::{Cluster, Collector, Desk, Span, message_sid, person};

const SETTLED: Duration = Duration::from_secs(60);
/// What customer and agent write.
const TEXT: &str = "zq7boiler";
const REPLY: &str = "zq7plumber";
/// A trace somebody on the internet would like us to be part of.
const FOREIGN: &str = "0af7651916cd43dd8448eb211c80319c";

/// A cluster that sends every span. The provider reports nothing by itself.
async fn traced(collector: &Collector, share: &str) -> Cluster {
    let plan = Cluster::plan().desks(1).set("TELEMETRY__OTLP_ENDPOINT", collector.url());
    let cluster = plan.set("TELEMETRY__SAMPLE_RATIO", share).start().await;
    cluster.simulator.set_faults(vec![Rule::always(Fault::DropCallbacks)]).unwrap();
    cluster
}

/// A text comes in whose sender claims to be part of a trace.
async fn text(cluster: &Cluster) {
    let form = cluster.hook.form(&message_sid(), &person(1), &format!("my {TEXT} is broken"));
    let url = format!("{}/inbound/main", cluster.public_url());
    let signature = sign(&url, &form, &cluster.hook.token, Algorithm::HmacSha1);
    let request = cluster.hook.client.post(&url).header(HEADER, signature).body(form.encode());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("traceparent", format!("00-{FOREIGN}-b7ad6b7169203331-01"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let accepted = "select count(*) from message where automatic and provider_sid is not null";
    cluster.wait_for("the acknowledgement is sent", accepted, SETTLED, |sent| sent == 1).await;
}

/// An agent replies.
async fn reply(cluster: &Cluster) {
    let token = cluster.command(&["token", "create", "--name", "agent"]).await;
    let desk = Desk::new(&cluster.desks[0].url(), token.trim());
    let cases = desk.cases("").await;
    let number = cases[0]["number"].as_str().unwrap();
    assert_eq!(desk.reply(number, &format!("a {REPLY} is coming"), "key-1").await.0, 201);
    let accepted = "select count(*) from message where author is not null and provider_sid is not null";
    cluster.wait_for("the reply is sent", accepted, SETTLED, |sent| sent == 1).await;
}

/// The provider says that the acknowledgement was delivered.
async fn report(cluster: &Cluster) {
    let sent = cluster.sql("select id, provider_sid from message where automatic").await;
    let (id, sid) = sent[0].split_once('|').unwrap();
    let path = status_path("main", id.parse().unwrap(), 1);
    assert_eq!(cluster.hook.status(&path, sid, "delivered").await.unwrap().status(), 204);
    let delivered = "select count(*) from message where status = 'delivered'";
    cluster.wait_for("the report is heard", delivered, SETTLED, |delivered| delivered == 1).await;
}

/// The only span of this name, of all or of those below one.
fn only<'a>(spans: &'a [Span], name: &str, parent: Option<&Span>) -> &'a Span {
    let below =
        |span: &&Span| parent.is_none_or(|parent| (&span.trace, &span.parent) == (&parent.trace, &parent.id));
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).filter(below).collect();
    assert_eq!(found.len(), 1, "{name} below {parent:?}: {spans:#?}");
    found[0]
}

/// From the webhook to the request to the provider; the span of sending.
fn is_followed(spans: &[Span]) -> &Span {
    let webhook = only(spans, "POST /inbound/{line}", None);
    assert_eq!((webhook.kind, webhook.parent.as_str()), (SpanKind::Server, ""));
    assert_ne!(webhook.trace, FOREIGN, "nobody on the internet chooses our trace");
    assert_eq!(
        (webhook.says("http.route"), webhook.says("webhook.outcome")),
        ("/inbound/{line}", "accepted")
    );
    let publish = only(spans, "publish inbound", Some(webhook));
    assert_eq!((publish.kind, publish.says("messaging.operation.type")), (SpanKind::Producer, "send"));
    let process = only(spans, "process inbound", Some(publish));
    assert_eq!((process.kind, process.service.as_str()), (SpanKind::Consumer, "casewire-worker"));
    assert_eq!(process.links, [(publish.trace.clone(), publish.id.clone())]);
    assert_eq!(
        (process.says("disposition"), process.says("messaging.message.delivery_count")),
        ("done", "1")
    );
    only(spans, "decide", Some(process));
    let send = only(spans, "send sms", Some(process));
    let post = only(spans, "POST", Some(send));
    assert_eq!((post.kind, post.says("outcome")), (SpanKind::Client, "accepted"));
    assert_eq!(post.says("http.response.status_code"), "201");
    send
}

/// The report is a trace of its own, whose handling links to the sending it is of.
fn is_linked(spans: &[Span], send: &Span) {
    let callback = only(spans, "POST /inbound/{line}/status/{message}.{attempt}", None);
    assert!(callback.parent.is_empty() && callback.trace != send.trace);
    let publish = only(spans, "publish inbound", Some(callback));
    let process = only(spans, "process inbound", Some(publish));
    assert_eq!(process.says("sms.status"), "delivered");
    assert_eq!(process.links.last(), Some(&(send.trace.clone(), send.id.clone())), "{process:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_one_trace_from_its_webhook_to_the_provider_and_its_report_links_to_it() {
    let collector = Collector::start();
    let cluster = traced(&collector, "1").await;
    text(&cluster).await;
    reply(&cluster).await;
    report(&cluster).await;
    for role in cluster.roles() {
        role.end().await;
    }
    let spans = collector.spans();
    let send = is_followed(&spans);
    is_linked(&spans, send);
    let asked = only(&spans, "POST /api/v1/cases/{number}/replies", None);
    assert!(asked.parent.is_empty() && asked.service == "casewire-desk");
    only(&spans, "send sms", Some(asked));

    let ours = ["publish inbound", "process inbound", "decide", "send sms", "POST"];
    let is_ours = |name: &str| ours.contains(&name) || name.split_once(" /").is_some();
    let foreign: Vec<_> = spans.iter().filter(|span| !is_ours(&span.name)).collect();
    assert!(foreign.is_empty(), "libraries, and the exporter above all, are not traced: {foreign:#?}");

    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    for personal in [TEXT, REPLY, person(1).trim_start_matches('+')] {
        assert!(!sent.contains(personal), "{personal} is in a span");
    }
    assert!(sent.contains("casewire-ingest"), "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_bucket_leads_to_a_trace_where_that_is_sent_and_only_there() {
    for (share, leads) in [("1", true), ("0", false)] {
        let collector = Collector::start();
        let cluster = traced(&collector, share).await;
        text(&cluster).await;
        let client = casewire_testkit::http::client().unwrap();
        for (role, histogram) in [
            (&cluster.ingests[0], "casewire_webhook_request_duration_seconds_bucket"),
            (&cluster.ingests[0], "casewire_publish_ack_duration_seconds_bucket"),
            (&cluster.workers[0], "casewire_message_process_duration_seconds_bucket"),
            (&cluster.workers[0], "casewire_webhook_to_case_duration_seconds_bucket"),
            (&cluster.workers[0], "casewire_provider_request_duration_seconds_bucket"),
        ] {
            let text = client.get(role.ops("metrics")).send().await.unwrap().text().await.unwrap();
            let found =
                text.lines().any(|line| line.starts_with(histogram) && line.contains("# {trace_id=\""));
            assert_eq!(found, leads, "{histogram} at a share of {share}");
        }
        for role in cluster.roles() {
            role.end().await;
        }
        assert_eq!(collector.spans().is_empty(), !leads);
    }
}
