//! What the desk counts and times.

use std::time::Duration;

use casewire_runtime::ops::{self, catalogue};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::problem::Missing;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    http_request_method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

/// What people wait for, and what nobody should.
const ANSWER: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Half a minute where somebody sits and waits; a week over a holiday.
const REPLY: [f64; 10] =
    [30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 28_800.0, 86_400.0, 259_200.0, 604_800.0];
/// A poll takes a second at most.
const PUSH: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PATCH", OTHER_METHOD];
const OTHER_METHOD: &str = "_OTHER";
/// The reason of a one-time link that was used or is too old.
pub(crate) const USED_LINK: &str = "used_link";

/// The desk's metrics. Every clone is the same.
#[derive(Clone)]
pub(crate) struct Metrics {
    answered: Family<Answer, Histogram, fn() -> Histogram>,
    active: Family<Asked, Gauge>,
    refused: Family<Refused, Counter>,
    pub(crate) live: Gauge,
    pushed: Histogram,
    first_reply: Histogram,
}

impl Metrics {
    /// Registers them; what can begin at 0 does.
    pub(crate) fn register(metrics: &ops::Metrics) -> Self {
        let new = Self {
            answered: Family::new_with_constructor(|| Histogram::new(ANSWER)),
            active: Family::default(),
            refused: Family::default(),
            live: Gauge::default(),
            pushed: Histogram::new(PUSH),
            first_reply: Histogram::new(REPLY),
        };
        for http_request_method in METHODS {
            new.active.get_or_create(&Asked { http_request_method }).set(0);
        }
        for missing in [Missing::Credentials, Missing::ValidToken, Missing::LiveSession] {
            new.refused.get_or_create(&Refused { reason: missing.name() }).inc_by(0);
        }
        new.refused.get_or_create(&Refused { reason: USED_LINK }).inc_by(0);
        metrics.register(&catalogue::HTTP_DURATION, new.answered.clone());
        metrics.register(&catalogue::HTTP_ACTIVE, new.active.clone());
        metrics.register(&catalogue::LOGIN_FAILURES, new.refused.clone());
        metrics.register(&catalogue::LIVE_CONNECTIONS, new.live.clone());
        metrics.register(&catalogue::PUSH_DELAY, new.pushed.clone());
        metrics.register(&catalogue::FIRST_REPLY, new.first_reply.clone());
        new
    }

    /// A request came; it counts as not answered until what is returned is dropped.
    pub(crate) fn asked(&self, method: &'static str) -> Active {
        let gauge = self.active.get_or_create_owned(&Asked { http_request_method: method });
        gauge.inc();
        Active(gauge)
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &'static str, route: String, status: u16, took: Duration) {
        let of = Answer { http_request_method: method, http_route: route, http_response_status_code: status };
        self.answered.get_or_create(&of).observe(took.as_secs_f64());
    }

    /// Somebody was not let in.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// Something that happened so long ago was passed on to live pages.
    pub(crate) fn pushed(&self, after: Duration) {
        self.pushed.observe(after.as_secs_f64());
    }

    /// A person replied for the first time, so long after the case began.
    pub(crate) fn first_reply(&self, after: Duration) {
        self.first_reply.observe(after.as_secs_f64());
    }
}

/// A request that is not answered yet.
pub(crate) struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The method as a label: what is not a common one may be anything.
pub(crate) fn method_name(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER_METHOD)
}
