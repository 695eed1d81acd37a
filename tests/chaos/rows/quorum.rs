//! Row 18: a cluster of three nats-servers, whose leader is killed, and of which one is cut off.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use casewire_testkit::{NatsServer, port};
use serde_json::Value;

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::kit::Dice;
use crate::load::Flow;
use crate::plan::Plan;
use crate::proxy::{Proxy, Weather};

const NODES: usize = 3;

/// Where `scripts/tools.sh nats-current` puts it. Debian's 2.9 is not meant for this: see `docs/reliability.md`.
fn program() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/nats/bin/nats-server"))
}

struct Cluster {
    nodes: Vec<NatsServer>,
    /// From each node to each other: what one says to another passes here.
    routes: Vec<(usize, usize, Proxy)>,
    monitors: Vec<u16>,
}

impl Cluster {
    async fn start(program: &Path) -> Self {
        let listen: Vec<u16> = (0..NODES).map(|_| port::free().unwrap()).collect();
        let monitors: Vec<u16> = (0..NODES).map(|_| port::free().unwrap()).collect();
        let mut routes = Vec::new();
        for from in 0..NODES {
            for to in (0..NODES).filter(|to| *to != from) {
                let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                routes.push((from, to, Proxy::start_on(listener, listen[to])));
            }
        }
        let mut nodes = Vec::new();
        for node in 0..NODES {
            let ours = routes.iter().filter(|(from, ..)| *from == node);
            let ours: Vec<_> = ours.map(|(.., proxy)| format!("nats://127.0.0.1:{}", proxy.port())).collect();
            // Nobody may find a way past the proxies: what is told of an address leads nowhere.
            let config = format!(
                "server_name: n{node}\nhttp: \"127.0.0.1:{}\"\ncluster {{ name: three, listen: \"127.0.0.1:{}\", \
                 cluster_advertise: \"127.0.0.1:1\", pool_size: -1, routes: {ours:?} }}",
                monitors[node], listen[node]
            );
            nodes.push(NatsServer::start_program(program.to_owned(), &config).await.unwrap());
        }
        Self { nodes, routes, monitors }
    }

    fn url(&self) -> String {
        self.nodes.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// Cuts a node off from the others, or lets it back.
    fn cut(&self, node: usize, weather: Weather) {
        let its = self.routes.iter().filter(|(from, to, _)| *from == node || *to == node);
        its.for_each(|(.., proxy)| proxy.set(weather));
    }

    /// The node that leads a stream, as some node sees it.
    async fn leader(&self) -> usize {
        let client = casewire_testkit::http::client().unwrap();
        for _ in 0..300 {
            for monitor in &self.monitors {
                let url = format!("http://127.0.0.1:{monitor}/jsz?accounts=1&streams=1");
                let Ok(answer) = client.get(url).send().await else { continue };
                let Ok(said) = answer.json::<Value>().await else { continue };
                let streams = said["account_details"][0]["stream_detail"].as_array().cloned();
                let leader = streams.iter().flatten().find_map(|stream| {
                    let leader = stream["cluster"]["leader"].as_str()?.strip_prefix('n')?.parse().ok();
                    leader.filter(|_| stream["name"].as_str().is_some_and(|name| name.starts_with("IN")))
                });
                if let Some(leader) = leader {
                    return leader;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!("no node leads")
    }
}

pub(crate) async fn three(knobs: Knobs) -> Outcome {
    let program = program();
    if !program.is_file() {
        return Outcome::not_run("needs a current nats-server: run scripts/tools.sh nats-current");
    }
    let (kills, mut dice) = (knobs.kills.unwrap_or(knobs.of(20, 3)), Dice::new(knobs.seed));
    let flow = Flow::open(knobs.rate() / 2.0, 2_000, knobs.seed);
    let cluster = Cluster::start(&program).await;
    let plan =
        Plan::of(2, 2).nats_at(&cluster.url()).set("STREAM__REPLICAS", "3").set("STREAM__MAX_BYTES", "64MiB");
    let mut scene = Scene::open(plan, knobs, flow).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        scene.faulty();
        let leader = cluster.leader().await;
        cluster.nodes[leader].kill().unwrap();
        tokio::time::sleep(Duration::from_millis(500 + dice.below(1_500))).await;
        slowest = slowest.max(scene.stage.flows_again(Duration::from_secs(60)).await);
        cluster.nodes[leader].restart().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let cuts = scene.knobs.of(6, 1);
    for cut in 0..cuts {
        // The leader, then any other.
        let leader = cluster.leader().await;
        let node = if cut % 2 == 0 { leader } else { (leader + 1) % NODES };
        cluster.cut(node, Weather::Blackhole);
        let meanwhile = scene.stage.flows(Duration::from_secs(90)).await;
        let told = meanwhile.map_or(-1.0, |took| round(took.as_secs_f64()));
        scene.outcome.figure(&format!("flowed_s_during_cut_{cut}"), told);
        scene.outcome.insist(meanwhile.is_some(), || format!("during cut {cut} texts did not flow for 90 s"));
        tokio::time::sleep(Duration::from_secs(scene.knobs.of(10, 3))).await;
        cluster.cut(node, Weather::Fair);
        slowest = slowest.max(scene.stage.flows_again(Duration::from_secs(60)).await);
        scene.faulty();
    }
    scene.outcome.figure("kills", kills);
    scene.outcome.figure("cuts", cuts);
    scene.outcome.figure("slowest_back_s", round(slowest.as_secs_f64()));
    scene.outcome.figure("nats_server", cluster.nodes[0].version().unwrap());
    let outcome = scene.close(Expected::default()).await;
    drop(cluster);
    outcome
}
