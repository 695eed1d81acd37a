//! Events taken from the stream, and what became of them.

use std::time::Duration;

use casewire_domain::DeliveryStatus;
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::message::Rule;
use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

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
const STATUSES: [DeliveryStatus; 4] =
    [DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Undelivered, DeliveryStatus::Failed];

/// Metrics of events.
pub(crate) struct Events {
    processed: Family<Disposition, Counter>,
    took: Histogram,
    redelivered: Family<Consumer, Counter>,
    acks_lost: Family<Consumer, Counter>,
    parked: Family<Reason, Counter>,
    to_case: Histogram,
    cases: Family<CaseEvent, Counter>,
    statuses: Family<Status, Counter>,
}

impl Events {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let new = Self {
            processed: Family::default(),
            took: Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0]),
            redelivered: Family::default(),
            acks_lost: Family::default(),
            parked: Family::default(),
            to_case: Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0]),
            cases: Family::default(),
            statuses: Family::default(),
        };
        new.begin();
        new.name(registry);
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
        for status in STATUSES {
            self.statuses
                .get_or_create(&Status { status: status.as_str(), error_code: String::new() })
                .inc_by(0);
        }
        self.redelivered.get_or_create(&WORK).inc_by(0);
        self.acks_lost.get_or_create(&WORK).inc_by(0);
    }

    fn name(&self, registry: &mut Registry) {
        let seconds = Unit::Seconds;
        let help = "Events handled, by what became of them";
        registry.register("messages_processed", help, self.processed.clone());
        let help = "How long an event was in hand: the time of its batch";
        registry.register_with_unit("message_process_duration", help, seconds.clone(), self.took.clone());
        let help = "Events that had been delivered before";
        registry.register("message_redeliveries", help, self.redelivered.clone());
        let help = "Acknowledgements that were lost";
        registry.register("ack_failures", help, self.acks_lost.clone());
        let help = "Events that became dead letters";
        registry.register("messages_parked", help, self.parked.clone());
        let help = "From a text's arrival to its place in a case";
        registry.register_with_unit("webhook_to_case_duration", help, seconds, self.to_case.clone());
        registry.register("case_events", "What texts did to cases", self.cases.clone());
        registry.register("sms_status", "Delivery statuses reported", self.statuses.clone());
    }

    /// An event is done with.
    pub(crate) fn handled(&self, command: &Command, outcome: &Outcome, now: DateTime<Utc>, took: Duration) {
        let labels = Disposition { consumer: CONSUMER, disposition: disposition(outcome) };
        self.processed.get_or_create(&labels).inc();
        self.took.observe(took.as_secs_f64());
        match (command, outcome) {
            (Command::SetAside(..), Outcome::SetAside(_)) => self.parked("unreadable"),
            (_, Outcome::SetAside(_)) => self.parked("unhandled"),
            (Command::Text(facts, _), Outcome::Placed { rule, .. }) => {
                let age = (now - facts.received_at).to_std().unwrap_or_default();
                self.to_case.observe(age.as_secs_f64());
                self.cases.get_or_create(&CaseEvent { event: case_event(*rule) }).inc();
            }
            (Command::Status(_, report), Outcome::Reported { .. }) => {
                let error_code = error_code(report.error_code);
                self.statuses.get_or_create(&Status { status: report.status.as_str(), error_code }).inc();
            }
            _ => {}
        }
    }

    /// An event was set aside without being looked at.
    pub(crate) fn given_up(&self, outcome: &Outcome, took: Duration) {
        let labels = Disposition { consumer: CONSUMER, disposition: disposition(outcome) };
        self.processed.get_or_create(&labels).inc();
        self.took.observe(took.as_secs_f64());
        if matches!(outcome, Outcome::SetAside(_)) {
            self.parked("delivered_too_often");
        }
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
