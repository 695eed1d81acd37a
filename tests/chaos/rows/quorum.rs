//! Row 18: a cluster of three nats-servers, whose leader is killed, and of which one is cut off.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use casewire_testkit::{NatsServer, eventually, eventually_some, port};
use serde_json::Value;

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::kit::Dice;
use crate::load::Flow;
use crate::plan::Plan;
use crate::proxy::{Proxy, Weather};

const NODES: usize = 3;
/// Four streams with a consumer each, the bucket of lines, and the cluster's own records.
const GROUPS: usize = 10;
/// A copy that is so few entries behind is whole: texts go on coming.
const LAG: u64 = 200;
/// How long a node that comes back may take until it has everything. One that led while it was cut off waits for a
/// snapshot, which the new leader takes by force only after five tries in a minute or two.
const WHOLE: Duration = Duration::from_secs(300);

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
        let leads = async || {
            let groups = self.groups().await;
            let texts = groups.iter().filter(|group| group.name.starts_with("IN"));
            texts.filter_map(|group| group.leader.strip_prefix('n')?.parse().ok()).next()
        };
        eventually_some("a node leads", WHOLE, leads).await.unwrap()
    }

    /// Waits until every node has everything again; how long that took. As long as one lags, it and another that is
    /// taken away are two of three, without which nothing can be stored: that is no fault to be borne.
    async fn whole(&self) -> Duration {
        let start = Instant::now();
        let all = async || {
            let groups = self.groups().await;
            let said_by_leaders = groups.iter().filter(|group| group.leader == group.said_by);
            said_by_leaders.filter(|group| group.current == NODES - 1).count() == GROUPS
        };
        eventually("every node has everything", WHOLE, all).await.unwrap();
        start.elapsed()
    }

    /// Every stream, every consumer and the cluster's own records, as each node that answers sees them.
    async fn groups(&self) -> Vec<Group> {
        let client = casewire_testkit::http::client().unwrap();
        let mut groups = Vec::new();
        for (node, monitor) in self.monitors.iter().enumerate() {
            let url = format!("http://127.0.0.1:{monitor}/jsz?accounts=1&streams=1&consumers=1");
            let Ok(answer) = client.get(url).send().await else { continue };
            let Ok(said) = answer.json::<Value>().await else { continue };
            let mut add = |name: &Value, cluster: &Value| groups.push(Group::read(node, name, cluster));
            add(&Value::Null, &said["meta_cluster"]);
            for stream in said["account_details"][0]["stream_detail"].as_array().into_iter().flatten() {
                add(&stream["name"], &stream["cluster"]);
                for consumer in stream["consumer_detail"].as_array().into_iter().flatten() {
                    add(&Value::Null, &consumer["cluster"]);
                }
            }
        }
        groups
    }
}

/// What is replicated together, as one node sees it.
struct Group {
    /// Of a stream.
    name: String,
    leader: String,
    said_by: String,
    /// Copies beside the leader's that hold what it has.
    current: usize,
}

impl Group {
    fn read(node: usize, name: &Value, cluster: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let copies = cluster["replicas"].as_array().into_iter().flatten();
        let current = copies.filter(|copy| {
            copy["current"] == true && copy["offline"] != true && copy["lag"].as_u64().unwrap_or(0) <= LAG
        });
        let (leader, current) = (text(&cluster["leader"]), current.count());
        Self { name: text(name), leader, said_by: format!("n{node}"), current }
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
    let (mut slowest, mut whole) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..kills {
        whole = whole.max(cluster.whole().await);
        scene.faulty();
        let leader = cluster.leader().await;
        cluster.nodes[leader].kill().unwrap();
        tokio::time::sleep(Duration::from_millis(500 + dice.below(1_500))).await;
        slowest = slowest.max(scene.stage.flows_again(Duration::from_secs(60)).await);
        cluster.nodes[leader].restart().await.unwrap();
    }
    let cuts = scene.knobs.of(4, 1);
    for cut in 0..cuts {
        whole = whole.max(cluster.whole().await);
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
    // What is looked at in the end is asked of the cluster too.
    whole = whole.max(cluster.whole().await);
    scene.outcome.figure("kills", kills);
    scene.outcome.figure("cuts", cuts);
    scene.outcome.figure("slowest_back_s", round(slowest.as_secs_f64()));
    scene.outcome.figure("slowest_whole_s", round(whole.as_secs_f64()));
    scene.outcome.figure("nats_server", cluster.nodes[0].version().unwrap());
    let outcome = scene.close(Expected::default()).await;
    drop(cluster);
    outcome
}
