//! What is measured of the stream and the database. Roles share them in `up`, so it is registered here, once a process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use casewire_bus::Stream;
use casewire_runtime::ops::{Metrics, catalogue};
use casewire_store::{Config, Error, Store};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Role {
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct System {
    db_system_name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connections {
    db_system_name: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    db_system_name: &'static str,
    db_operation_name: &'static str,
}

const OPERATIONS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "other"];
/// A statement takes a millisecond, and at most the statement time-out.
const STATEMENT: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0];

/// Shows whether the stream can be reached.
pub fn stream(metrics: &Metrics, role: &'static str, stream: &Arc<dyn Stream>) {
    let (connected, reconnects) = (Family::<Role, Gauge>::default(), Family::<Role, Counter>::default());
    metrics.register(&catalogue::NATS_CONNECTED, connected.clone());
    metrics.register(&catalogue::NATS_RECONNECTS, reconnects.clone());
    let connected = connected.get_or_create_owned(&Role { role });
    let reconnects = reconnects.get_or_create_owned(&Role { role });
    let stream = stream.clone();
    metrics.before_showing(move || {
        connected.set(stream.connected().into());
        reconnects.inner().store(stream.reconnects(), Ordering::Relaxed);
    });
}

/// Opens the database; its statements and connections are measured.
///
/// # Errors
/// Those of [`Store::open`].
pub async fn open(metrics: &Metrics, config: &Config) -> Result<Store, Error> {
    let took =
        Family::<Operation, Histogram, fn() -> Histogram>::new_with_constructor(|| Histogram::new(STATEMENT));
    metrics.register(&catalogue::DB_OPERATION_DURATION, took.clone());
    let system = if config.url.starts_with("sqlite:") { "sqlite" } else { "postgresql" };
    let by_verb = OPERATIONS.map(|verb| {
        let of = Operation { db_system_name: system, db_operation_name: verb };
        (verb, took.get_or_create_owned(&of))
    });
    let watch = move |verb: &'static str, took: Duration| {
        if let Some((_, histogram)) = by_verb.iter().find(|(known, _)| *known == verb) {
            histogram.observe(took.as_secs_f64());
        }
    };
    let store = Store::open_watched(config, watch).await?;
    connections(metrics, &store);
    Ok(store)
}

fn connections(metrics: &Metrics, store: &Store) {
    let db_system_name = store.system();
    let of = System { db_system_name };
    let count = Family::<Connections, Gauge>::default();
    metrics.register(&catalogue::DB_CONNECTION_COUNT, count.clone());
    let gauge = |listed| {
        let family = Family::<System, Gauge>::default();
        metrics.register(listed, family.clone());
        family.get_or_create_owned(&of)
    };
    let (most, waiting) = (gauge(&catalogue::DB_CONNECTION_MAX), gauge(&catalogue::DB_PENDING_REQUESTS));
    let timeouts = Family::<System, Counter>::default();
    metrics.register(&catalogue::DB_CONNECTION_TIMEOUTS, timeouts.clone());
    let timeouts = timeouts.get_or_create_owned(&of);
    let state = |state| count.get_or_create_owned(&Connections { db_system_name, state });
    let (idle, used) = (state("idle"), state("used"));
    let store = store.clone();
    metrics.before_showing(move || {
        let pool = store.pool();
        let shown = [(&idle, pool.idle), (&used, pool.used), (&most, pool.most), (&waiting, pool.waiting)];
        for (gauge, value) in shown {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        timeouts.inner().store(pool.timeouts, Ordering::Relaxed);
    });
}
