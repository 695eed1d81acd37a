//! The run: all roles with debug logs and every span sent, and everything that can fail.

use std::time::Duration;

use casewire_simulator::{Fault, Rule};
use casewire_testkit::eventually;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature::HEADER;
use reqwest::StatusCode;
use serde_json::Value;

use super::losses::{self, HELD, MISSED};
use super::search::{Canary, found};
use super::stored;
use crate::kit::{
    ACCOUNT, Cluster, Collector, DATABASE_PASSWORD, Desk, Hook, MASTER_KEY, Plan, Role, TOKEN, handset,
    message_sid, person, publish, say, texts,
};

pub(super) const SETTLED: Duration = Duration::from_secs(60);
/// What customers and agents write.
pub(super) const TEXT: &str = "zq7heater";
const REPLY: &str = "zq7answer";
const CITY: &str = "ZQ7SEATTLE";
/// Customers: one for whom all goes well, one whose answer gets lost, and one whom the provider refuses.
pub(super) const WELL: u64 = 3_559_137;
const LOST: u64 = 3_559_238;
const REFUSED: u64 = 3_559_339;

fn canaries(api_token: &str) -> Vec<Canary> {
    let mut canaries = vec![
        Canary::new("a customer's text", TEXT),
        Canary::new("an agent's reply", REPLY),
        Canary::new("a customer's city", CITY),
    ];
    canaries.extend(
        [WELL, LOST, REFUSED, HELD, MISSED]
            .map(|who| Canary::number("a customer's number", &person(who)))
            .into_iter()
            .flatten(),
    );
    canaries.extend(secrets(api_token));
    canaries
}

fn secrets(api_token: &str) -> Vec<Canary> {
    vec![
        Canary::new("the auth token", TOKEN),
        Canary::new("the master key", MASTER_KEY),
        Canary::new("an API token", api_token),
        Canary::new("the database's password", DATABASE_PASSWORD),
    ]
}

fn plan(collector: &Collector) -> Plan {
    losses::soon(Cluster::plan())
        .with_own_postgres()
        .desks(1)
        .set("TELEMETRY__LOG_FILTER", "debug")
        .set("TELEMETRY__OTLP_ENDPOINT", collector.url())
        .set("TELEMETRY__SAMPLE_RATIO", "1")
        .set("SENDER__REQUEST_TIMEOUT", "1s")
        .set("STREAM__ACK_WAIT", "5s")
        .set("WORKER__RETRY_MOST", "1s")
}

/// A text of a customer with something personal in every field.
fn form(hook: &Hook, who: u64) -> Parameters {
    let form = hook.form(&message_sid(), &person(who), &format!("{TEXT} is broken"));
    form.iter().map(|(name, value)| (name, if name == "FromCity" { CITY } else { value })).collect()
}

pub(super) async fn text(hook: &Hook, who: u64) -> StatusCode {
    hook.post("/inbound/main", &form(hook, who)).await.unwrap().status()
}

/// The number of a customer's only case.
pub(super) async fn number_of(desk: &Desk, who: u64) -> String {
    let query = format!("?contact={}", person(who).replace('+', "%2B"));
    desk.cases(&query).await[0]["number"].as_str().unwrap().to_owned()
}

/// All that goes well: a case, its acknowledgement, a reply and their callbacks; and a look at them.
async fn goes_well(cluster: &Cluster, desk: &Desk) {
    assert_eq!(text(&cluster.hook, WELL).await, 200);
    let opened = "select count(*) from \"case\"";
    cluster.wait_for("there is a case", opened, SETTLED, |cases| cases == 1).await;
    let number = number_of(desk, WELL).await;
    assert_eq!(desk.reply(&number, &format!("{REPLY} is coming"), "key-1").await.0, 201);
    desk.case_when(&number, "both are delivered", |case: &Value| {
        texts(case, "outbound").filter(|text| text["status"] == "delivered").count() == 2
    })
    .await;
}

/// Requests that are refused: by ingest for their signature and their form, by the desk for their token and body.
async fn is_refused(cluster: &Cluster, desk: &Desk) {
    let forger = Hook { token: "not-the-token".into(), ..cluster.hook.clone() };
    assert_eq!(text(&forger, WELL).await, 403);
    let unread = format!("From={}&Body={TEXT}%zz", person(WELL));
    let unread = cluster.hook.client.post(format!("{}/inbound/main", cluster.public_url())).body(unread);
    let unread = unread.header("content-type", "application/x-www-form-urlencoded").header(HEADER, TEXT);
    assert_eq!(unread.send().await.unwrap().status(), 400);
    let nobody = Desk::new(&cluster.desks[0].url(), REPLY);
    assert_eq!(nobody.get("/cases").send().await.unwrap().status(), 401);
    let (status, _) = desk.reply("00001001", &REPLY.repeat(1_000), "key-2").await;
    assert!(status.is_client_error(), "{status}");
}

/// What the worker sets aside: no event at all, and a text that says not from whom it is.
async fn is_set_aside(cluster: &Cluster) {
    let garbage = format!("\u{ff}{TEXT} {}", person(WELL));
    publish(&cluster.nats, "in.0.message", garbage.as_bytes()).await;
    let anonymous: Parameters =
        form(&cluster.hook, WELL).iter().filter(|(name, _)| *name != "From").collect();
    assert_eq!(cluster.hook.post("/inbound/main", &anonymous).await.unwrap().status(), 200);
    let dead = "select count(*) from event where outcome = 'dead'";
    cluster.wait_for("two dead letters", dead, SETTLED, |dead| dead == 2).await;
}

/// Texts of ours that may or may not have been sent, and that the provider refuses.
async fn is_not_sent(cluster: &Cluster) {
    let to = |who, fault: Fault| Rule { to: Some(handset(who)), ..Rule::always(fault) };
    let refuse = Fault::Refuse { status: 400, code: 21_211 };
    let faults = [to(LOST, Fault::HangAfterAccepting), to(LOST, Fault::DropCallbacks), to(REFUSED, refuse)];
    cluster.simulator.set_faults(faults.into()).unwrap();
    for who in [LOST, REFUSED] {
        assert_eq!(text(&cluster.hook, who).await, 200);
    }
    let trail = |kind: &str| format!("select count(*) from case_event where kind = '{kind}'");
    for kind in ["send_uncertain", "send_failed"] {
        cluster.wait_for(kind, &trail(kind), SETTLED, |found| found > 0).await;
    }
    let unsettled = "select count(*) from outbox";
    cluster.wait_for("the lost one is found on the list", unsettled, SETTLED, |left| left == 0).await;
}

/// Servers that go away and come back.
async fn is_alone(cluster: &Cluster, desk: &Desk) {
    cluster.database.server.kill().unwrap();
    assert_eq!(text(&cluster.hook, WELL).await, 200);
    let answer = desk.get("/cases").send().await.unwrap().status();
    assert!(answer.is_server_error(), "{answer}");
    // Until the worker has tried in vain.
    let failed = async || cluster.workers[0].log().contains("database_unavailable");
    eventually("the worker tells that the database is away", SETTLED, failed).await.unwrap();
    cluster.database.server.restart().await.unwrap();
    losses::is_spilled(cluster).await;
    let taken = async || text(&cluster.hook, WELL).await == 200;
    eventually("texts are taken again", SETTLED, taken).await.unwrap();
    cluster.settle(SETTLED).await;
}

/// What each role says of itself by numbers, and, at its end, by its log.
async fn said(role: &Role) -> [(String, Vec<u8>); 2] {
    let metrics = casewire_testkit::http::client().unwrap().get(role.ops("metrics")).send().await.unwrap();
    let metrics = metrics.bytes().await.unwrap().to_vec();
    role.end().await;
    [
        (format!("the metrics of {}", role.name), metrics),
        (format!("the log of {}", role.name), role.whole_log().into_bytes()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_and_no_secret_leaves_the_places_it_belongs_in() {
    let collector = Collector::start();
    let cluster = plan(&collector).start().await;
    let token = cluster.command(&["token", "create", "--name", "agent"]).await;
    let token = token.trim();
    let desk = Desk::new(&cluster.desks[0].url(), token);
    goes_well(&cluster, &desk).await;
    is_refused(&cluster, &desk).await;
    is_set_aside(&cluster).await;
    is_not_sent(&cluster).await;
    let mut places = losses::is_held(&cluster, &desk).await;
    is_alone(&cluster, &desk).await;
    places.extend(losses::is_missed(&cluster).await);

    let canaries = canaries(token);
    for role in cluster.roles() {
        places.extend(said(role).await);
    }
    places.push(("the spans".into(), collector.bytes()));
    places.push(("the log of nats-server".into(), cluster.nats.log().into_bytes()));
    let reasons = "select reason from event \
                   union all select concat(kind, ' ', why, ' ', change, ' ', actor) from case_event";
    places.push(("reasons and trails".into(), cluster.sql(reasons).await.join("\n").into_bytes()));
    let reports = "select r::text from reconciliation r union all select m::text from stream_mark m";
    places.push(("reports of sweeps".into(), cluster.sql(reports).await.join("\n").into_bytes()));
    let mut payloads = Vec::new();
    for shard in 0..4 {
        let (outside, payload) = read(&cluster, &format!("IN_{shard}")).await;
        places.push((format!("subjects and headers of shard {shard}"), outside));
        payloads.extend(payload);
    }
    let (outside, directory) = read(&cluster, "KV_casewire_directory").await;
    places.push(("the directory's keys".into(), outside));

    let mut problems: Vec<_> =
        places.iter().flat_map(|(place, content)| found(&canaries, place, content)).collect();
    problems.extend(found(&secrets(token), "the directory", &directory));
    let kept = std::fs::read(cluster.spill(0).join("directory.json")).unwrap();
    problems.extend(found(&secrets(token), "the directory beside the spill", &kept));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    it_was_looked_for(&cluster, &places, &payloads, &directory).await;
}

async fn read(cluster: &Cluster, stream: &str) -> (Vec<u8>, Vec<u8>) {
    let messages = stored::all(&cluster.nats, stream).await;
    let join = |of: fn(&stored::Stored) -> &[u8]| messages.iter().map(of).collect::<Vec<_>>().join(&b'\n');
    (join(|message| &message.outside), join(|message| &message.payload))
}

/// The search finds what is there: where texts and numbers belong they are, and each place holds what it should.
async fn it_was_looked_for(
    cluster: &Cluster,
    places: &[(String, Vec<u8>)],
    payloads: &[u8],
    directory: &[u8],
) {
    let text = Canary::new("a text", TEXT);
    assert!(text.is_in(payloads) && Canary::new("a number", &person(LOST)).is_in(payloads));
    let bodies = cluster.sql("select body from message").await.join("\n");
    assert!(text.is_in(bodies.as_bytes()) && Canary::new("a reply", REPLY).is_in(bodies.as_bytes()));
    assert!(Canary::new("the account", ACCOUNT).is_in(directory));
    let holds = |place: &str, what: &str| {
        let (_, content) = places.iter().find(|(name, _)| name == place).unwrap();
        assert!(String::from_utf8_lossy(content).contains(what), "{what:?} is not in {place}");
    };
    for (place, what) in [
        ("the log of ingest", "webhook_refused"),
        ("the log of ingest", "spilling_ended"),
        ("the log of ingest", "\"level\":\"DEBUG\""),
        ("the log of worker", "\"level\":\"DEBUG\""),
        ("the log of worker", "database_unavailable"),
        ("the log of worker", "send_uncertain"),
        ("the log of worker", "list_unread"),
        ("the log of worker", "sweeper_rescued"),
        ("what `casewire case resolve` printed", "it is given up"),
        ("what `casewire reconcile --since` printed", "brought_in"),
        ("what `casewire reconcile --last` printed", "BROUGHT IN"),
        ("reports of sweeps", "brought_in"),
        ("reports of sweeps", "IN_0"),
        ("the log of desk", "\"level\":\"DEBUG\""),
        ("the metrics of ingest", "casewire_"),
        ("the metrics of worker", "casewire_"),
        ("the metrics of desk", "http_server_request_duration_seconds"),
        ("the spans", "publish inbound"),
        ("the spans", "casewire-worker"),
        ("the spans", "casewire-desk"),
        ("the spans", "send sms"),
        ("the log of nats-server", "Server is ready"),
        ("reasons and trails", "cannot be decoded"),
        ("reasons and trails", "send_uncertain"),
        ("reasons and trails", "send_unsettled"),
        ("reasons and trails", "send_resolved"),
    ] {
        holds(place, what);
    }
    let outside: Vec<_> = places.iter().filter(|(name, _)| name.starts_with("subjects")).collect();
    assert!(outside.iter().any(|(_, content)| String::from_utf8_lossy(content).contains("Nats-Msg-Id")));
    let size: usize = places.iter().map(|(_, content)| content.len()).sum();
    say(&format!("nothing found in {} places of {} KiB", places.len(), size / 1024));
}
