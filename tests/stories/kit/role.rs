//! One role of a cluster: a process that can be killed, stopped and started again where it was.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use casewire_testkit::process::Start;
use casewire_testkit::{Casewire, port};

use super::balancer::Backend;
use super::casewire;

/// A debug build on a busy machine needs its time.
const START: Duration = Duration::from_secs(60);

/// `server.drain_timeout` cuts off what takes longer.
const DRAINED: Duration = Duration::from_secs(30);

/// Names and values of the environment.
pub(crate) type Environment = Vec<(String, String)>;

pub(crate) struct Role {
    pub(crate) name: &'static str,
    /// Webhooks or API.
    pub(crate) port: u16,
    ops_port: u16,
    environment: Environment,
    running: Mutex<Option<Arc<Casewire>>>,
    /// What it logged before its last start.
    earlier: Mutex<String>,
}

impl Role {
    /// `name` is the subcommand.
    pub(crate) fn new(name: &'static str, environment: &Environment) -> Self {
        let (port, ops_port) = (port::free().unwrap(), port::free().unwrap());
        let mut environment = environment.clone();
        let mut set = |name: &str, port: u16| environment.push((name.into(), format!("127.0.0.1:{port}")));
        set("CASEWIRE_SERVER__LISTEN", port);
        set("CASEWIRE_SERVER__OPS_LISTEN", ops_port);
        Self { name, port, ops_port, environment, running: Mutex::default(), earlier: Mutex::default() }
    }

    /// Gives it a variable more, before its first start.
    pub(crate) fn set(&mut self, variable: (String, String)) {
        self.environment.push(variable);
    }

    /// Starts it and returns at once.
    pub(crate) fn spawn(&self) {
        self.spawn_from(casewire(&[self.name]));
    }

    /// The same from another program, or in other surroundings.
    pub(crate) fn spawn_from(&self, start: Start) {
        let start = self.environment.iter().fold(start, |start, (name, value)| start.env(name, value));
        self.earlier.lock().unwrap().push_str(&self.log());
        *self.running.lock().unwrap() = Some(Arc::new(start.spawn().unwrap()));
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self) {
        self.process().wait_until_ready(&self.ops("readyz"), START).await.unwrap();
    }

    pub(crate) async fn start(&self) {
        self.spawn();
        self.ready().await;
    }

    /// Kills it with -9.
    pub(crate) fn kill(&self) {
        self.process().kill().unwrap();
    }

    /// Asks it to end, insists that it does so well and in time, and tells how long it took.
    pub(crate) async fn end(&self) -> Duration {
        let (process, start) = (self.process(), Instant::now());
        process.terminate().unwrap();
        let finished = process.wait(DRAINED).await.unwrap();
        assert_eq!(finished.status.code(), Some(0), "{}: {}", self.name, finished.stdout);
        start.elapsed()
    }

    /// What it has logged since its last start.
    pub(crate) fn log(&self) -> String {
        let running = self.running.lock().unwrap().clone();
        running.map(|process| process.stdout() + &process.stderr()).unwrap_or_default()
    }

    /// What it has logged since its first start.
    pub(crate) fn whole_log(&self) -> String {
        self.earlier.lock().unwrap().clone() + &self.log()
    }

    /// What one of its metrics says.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let answer = casewire_testkit::http::client().unwrap().get(self.ops("metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        assert!(value.is_some(), "no metric {name} in {text}");
        value.unwrap().parse().unwrap()
    }

    /// A URL of its ops port.
    pub(crate) fn ops(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.ops_port)
    }

    /// Where its own port is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process of its last start.
    pub(crate) fn process(&self) -> Arc<Casewire> {
        self.running.lock().unwrap().clone().unwrap()
    }
}

impl From<&Role> for Backend {
    fn from(role: &Role) -> Self {
        Self::new(role.port, Some(role.ops("readyz")))
    }
}
