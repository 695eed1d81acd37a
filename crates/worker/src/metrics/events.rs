//! Events taken from the stream, and what became of them.

use std::time::Duration;

use casewire_domain::DeliveryStatus;
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::inbound::Keyword;
use casewire_domain::message::Rule;
use casewire_runtime::ops::{self, Exemplar, Traced, catalogue};
use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Span;

use super::{CONSUMER, disposition, error_code};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Disposition {
    consumer: &'static str,
    disposition: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumer {
    consumer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CaseEvent {
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OptEvent {
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
    error_code: String,
}

const WORK: Consumer = Consumer { consumer: CONSUMER };
const DISPOSITIONS: [&str; 5] = ["done", "duplicate", "park", "retry", "waiting"];
/// Why an event is a dead letter: it makes no sense, or making sense it could not be handled, or it came so often that
/// it was not looked at.
const REASONS: [&str; 3] = ["unreadable", "unhandled", "delivered_too_often"];
const CASE_EVENTS: [&str; 3] = ["created", "appended", "reopened"];
const OPT_EVENTS: [Keyword; 3] = [Keyword::Stop, Keyword::Start, Keyword::Help];
const STATUSES: [DeliveryStatus; 4] =
    [DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Undelivered, DeliveryStatus::Failed];

/// A batch takes milliseconds, and 30 s where the database is slow.
const IN_HAND: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// A text waits for a moment, or for as long as workers are away.
const TO_CASE: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// A handset is reached within seconds, or when it is switched on again.
const TO_HANDSET: [f64; 9] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0];

/// Metrics of events.
pub(crate) struct Events {
    processed: Family<Disposition, Counter>,
    took: Traced,
    redelivered: Family<Consumer, Counter>,
    acks_lost: Family<Consumer, Counter>,
    parked: Family<Reason, Counter>,
    to_case: Traced,
    cases: Family<CaseEvent, Counter>,
    opt: Family<OptEvent, Counter>,
    statuses: Family<Status, Counter>,
    delivered: Histogram,
}

impl Events {
    pub(super) fn register(metrics: &ops::Metrics) -> Self {
        let took = Family::<Consumer, Traced, fn() -> Traced>::new_with_constructor(|| {
            Traced::new(IN_HAND.into_iter())
        });
        let new = Self {
            processed: Family::default(),
            took: took.get_or_create_owned(&WORK),
            redelivered: Family::default(),
            acks_lost: Family::default(),
            parked: Family::default(),
            to_case: Traced::new(TO_CASE.into_iter()),
            cases: Family::default(),
            opt: Family::default(),
            statuses: Family::default(),
            delivered: Histogram::new(TO_HANDSET),
        };
        new.begin();
        metrics.register(&catalogue::PROCESS_DURATION, took);
        new.name(metrics);
        new
    }

    /// Known label sets begin at 0: a first failure would otherwise have no rate.
    fn begin(&self) {
        for disposition in DISPOSITIONS {
            self.processed.get_or_create(&Disposition { consumer: CONSUMER, disposition }).inc_by(0);
        }
        for reason in REASONS {
            self.parked.get_or_create(&Reason { reason }).inc_by(0);
        }
        for event in CASE_EVENTS {
            self.cases.get_or_create(&CaseEvent { event }).inc_by(0);
        }
        for event in OPT_EVENTS.map(opt_event) {
            self.opt.get_or_create(&OptEvent { event }).inc_by(0);
        }
        for status in STATUSES {
            self.statuses
                .get_or_create(&Status { status: status.as_str(), error_code: String::new() })
                .inc_by(0);
        }
        self.redelivered.get_or_create(&WORK).inc_by(0);
        self.acks_lost.get_or_create(&WORK).inc_by(0);
    }

    fn name(&self, metrics: &ops::Metrics) {
        metrics.register(&catalogue::MESSAGES_PROCESSED, self.processed.clone());
        metrics.register(&catalogue::REDELIVERIES, self.redelivered.clone());
        metrics.register(&catalogue::ACK_FAILURES, self.acks_lost.clone());
        metrics.register(&catalogue::MESSAGES_PARKED, self.parked.clone());
        metrics.register(&catalogue::WEBHOOK_TO_CASE, self.to_case.clone());
        metrics.register(&catalogue::CASE_EVENTS, self.cases.clone());
        metrics.register(&catalogue::OPT_EVENTS, self.opt.clone());
        metrics.register(&catalogue::SMS_STATUS, self.statuses.clone());
        metrics.register(&catalogue::SMS_DELIVERY_DURATION, self.delivered.clone());
    }

    /// An event is done with; `span` is that of its handling.
    pub(crate) fn handled(
        &self,
        command: &Command,
        outcome: &Outcome,
        now: DateTime<Utc>,
        took: Duration,
        span: &Span,
    ) {
        self.disposed(outcome, took, span);
        match (command, outcome) {
            (Command::SetAside(..), Outcome::SetAside(_)) => self.parked("unreadable"),
            (_, Outcome::SetAside(_)) => self.parked("unhandled"),
            (Command::Text(facts, _), Outcome::Placed { rule, .. }) => {
                let age = (now - facts.received_at).to_std().unwrap_or_default();
                self.to_case.observe(age.as_secs_f64(), Exemplar::of(span), None);
                self.cases.get_or_create(&CaseEvent { event: case_event(*rule) }).inc();
            }
            (Command::Text(_, text), Outcome::Recorded) => {
                if let Some(event) = text.keyword().map(opt_event) {
                    self.opt.get_or_create(&OptEvent { event }).inc();
                }
            }
            (Command::Status(_, report), Outcome::Reported { delivered_after, .. }) => {
                let error_code = error_code(report.error_code);
                self.statuses.get_or_create(&Status { status: report.status.as_str(), error_code }).inc();
                if let Some(after) = delivered_after {
                    self.delivered.observe(after.as_secs_f64());
                }
            }
            _ => {}
        }
    }

    /// An event was set aside without being looked at.
    pub(crate) fn given_up(&self, outcome: &Outcome, took: Duration, span: &Span) {
        self.disposed(outcome, took, span);
        if matches!(outcome, Outcome::SetAside(_)) {
            self.parked("delivered_too_often");
        }
    }

    fn disposed(&self, outcome: &Outcome, took: Duration, span: &Span) {
        let labels = Disposition { consumer: CONSUMER, disposition: disposition(outcome) };
        self.processed.get_or_create(&labels).inc();
        self.took.observe(took.as_secs_f64(), Exemplar::of(span), None);
    }

    fn parked(&self, reason: &'static str) {
        self.parked.get_or_create(&Reason { reason }).inc();
    }

    /// So many events were tried and are held.
    pub(crate) fn retried(&self, events: usize) {
        let labels = Disposition { consumer: CONSUMER, disposition: "retry" };
        self.processed.get_or_create(&labels).inc_by(events as u64);
    }

    /// So many events came that had come before.
    pub(crate) fn redelivered(&self, events: usize) {
        self.redelivered.get_or_create(&WORK).inc_by(events as u64);
    }

    /// So many acknowledgements did not reach the stream.
    pub(crate) fn acks_lost(&self, events: usize) {
        self.acks_lost.get_or_create(&WORK).inc_by(events as u64);
    }
}

fn case_event(rule: Rule) -> &'static str {
    match rule {
        Rule::OpenedFirst | Rule::OpenedAfterClosing => "created",
        Rule::ReopenedByNumber => "reopened",
        _ => "appended",
    }
}

fn opt_event(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Stop => "stop",
        Keyword::Start => "start",
        Keyword::Help => "help",
    }
}
