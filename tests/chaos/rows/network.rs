//! Row 6: every link cut, swallowed, swallowed one way, late, reset, dripping, and with a peer that died without a word.

use std::time::{Duration, Instant};

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::load::Flow;
use crate::plan::Plan;
use crate::proxy::{Proxy, Weather};
use crate::stage::Links;

/// A dead peer is found within this time, and texts flow again.
const FOUND: Duration = Duration::from_secs(30);
/// The answer of ingest whatever its link to the stream does.
const NO_LATER: Duration = Duration::from_secs(3);

type Link = (&'static str, fn(&Links) -> &Proxy);

const LINKS: [Link; 4] = [
    ("ingest_nats", |links| &links.ingest_nats),
    ("worker_nats", |links| &links.worker_nats),
    ("worker_pg", |links| &links.worker_pg),
    ("worker_twilio", |links| &links.twilio),
];

/// What a link does, and what that is called; nothing is a peer that dies without a word.
const WEATHER: [(&str, Option<Weather>); 8] = [
    ("dead", None),
    ("cut", Some(Weather::Cut)),
    ("blackhole", Some(Weather::Blackhole)),
    ("deaf", Some(Weather::Deaf)),
    ("mute", Some(Weather::Mute)),
    ("late", Some(Weather::Late(Duration::from_millis(500)))),
    ("reset", Some(Weather::Reset)),
    ("drip", Some(Weather::Drip(2_000))),
];

pub(crate) async fn links(knobs: Knobs) -> Outcome {
    let hold = Duration::from_secs(knobs.of(8, 3));
    let short = [
        ("ingest_nats", "dead"),
        ("worker_nats", "blackhole"),
        ("worker_pg", "dead"),
        ("worker_twilio", "mute"),
    ];
    // So many that somebody new texts all the time: without texts of ours nothing passes to the provider.
    let flow = Flow::open(knobs.rate() / 2.0, 100_000, knobs.seed);
    let full = knobs.full;
    let mut scene = Scene::open(Plan::of(1, 1).with_proxies(), knobs, flow).await;
    let mut slowest = Duration::ZERO;
    for (name, link) in LINKS {
        for (kind, weather) in WEATHER {
            if !full && !short.contains(&(name, kind)) {
                continue;
            }
            scene.faulty();
            let start = Instant::now();
            let link = link(&scene.stage.links);
            let fair = link.felt();
            match weather {
                Some(weather) => {
                    link.set(weather);
                    tokio::time::sleep(hold).await;
                    link.set(Weather::Fair);
                }
                None => link.orphan(),
            }
            let back = scene.stage.flows(FOUND * 3).await.unwrap_or(FOUND * 3);
            let felt = link.felt() - fair;
            scene.outcome.insist(felt > 0, || format!("{name} {kind}: nothing that passed there felt it"));
            scene.outcome.figure(&format!("felt_{name}_{kind}"), felt);
            let during = scene.books().latency(start, Instant::now());
            slowest = slowest.max(back);
            scene.outcome.figure(&format!("back_s_{name}_{kind}"), round(back.as_secs_f64()));
            scene
                .outcome
                .insist(back <= FOUND, || format!("{name} {kind}: texts flowed again after {back:?}"));
            scene.outcome.insist(during.p99 <= NO_LATER, || {
                format!("{name} {kind}: answers took {:?} at the 99th percentile", during.p99)
            });
        }
    }
    scene.faulty();
    scene.outcome.figure("slowest_back_s", round(slowest.as_secs_f64()));
    scene.close(Expected::default()).await
}
