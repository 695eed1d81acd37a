//! What differs between what is configured and what the server has, among the fields we set.

use std::fmt::Debug;

use async_nats::jetstream::consumer::Config as ConsumerConfig;
use async_nats::jetstream::stream::Config as StreamConfig;

use super::CONSUMER;
use super::limits::{Found, Limit};
use crate::Difference;

struct Drift<'a> {
    of: &'a str,
    found: Vec<Difference>,
}

impl<'a> Drift<'a> {
    fn of(of: &'a str) -> Self {
        Self { of, found: Vec::new() }
    }

    fn field<T: PartialEq + Debug>(&mut self, name: &str, wanted: &T, is: &T) {
        if wanted != is {
            let what = format!("{} has {name} {is:?}, configured is {wanted:?}", self.of);
            self.found.push(Difference::Other(what));
        }
    }
}

pub(super) fn stream_drift(wanted: &StreamConfig, found: &Found) -> Vec<Difference> {
    let is = &found.config;
    let mut drift = Drift::of(&wanted.name);
    drift.field("subjects", &wanted.subjects, &is.subjects);
    drift.field("retention", &wanted.retention, &is.retention);
    drift.field("discard", &wanted.discard, &is.discard);
    drift.field("storage", &wanted.storage, &is.storage);
    drift.field("max_msg_size", &wanted.max_message_size, &is.max_message_size);
    drift.field("max_msgs", &wanted.max_messages, &is.max_messages);
    drift.field("max_msgs_per_subject", &wanted.max_messages_per_subject, &is.max_messages_per_subject);
    drift.field("duplicate_window", &wanted.duplicate_window, &is.duplicate_window);
    drift.field("num_replicas", &wanted.num_replicas, &is.num_replicas);
    drift.field("no_ack", &wanted.no_ack, &is.no_ack);
    drift.field("sealed", &wanted.sealed, &is.sealed);
    drift.field("deny_delete", &wanted.deny_delete, &is.deny_delete);
    drift.field("allow_rollup_hdrs", &wanted.allow_rollup, &is.allow_rollup);
    drift.field("allow_direct", &wanted.allow_direct, &is.allow_direct);
    if wanted.max_bytes > 0 {
        drift.found.extend(Limit::all(wanted, found).iter().map(|limit| limit.difference(&wanted.name)));
    } else {
        // The bucket: it has no limits of ours, and whoever gave it one must say why.
        drift.field("max_bytes", &wanted.max_bytes, &is.max_bytes);
        drift.field("max_age", &wanted.max_age, &is.max_age);
    }
    drift.found
}

/// How the shared consumer of a stream is called in a sentence.
pub(super) fn consumer_of(stream: &str) -> String {
    format!("consumer {CONSUMER} of {stream}")
}

pub(super) fn consumer_drift(stream: &str, wanted: &ConsumerConfig, is: &ConsumerConfig) -> Vec<Difference> {
    let of = consumer_of(stream);
    let mut drift = Drift::of(&of);
    drift.field("deliver_subject", &wanted.deliver_subject, &is.deliver_subject);
    drift.field("deliver_policy", &wanted.deliver_policy, &is.deliver_policy);
    drift.field("ack_policy", &wanted.ack_policy, &is.ack_policy);
    drift.field("max_deliver", &wanted.max_deliver, &is.max_deliver);
    drift.field("filter_subject", &wanted.filter_subject, &is.filter_subject);
    drift.field("replay_policy", &wanted.replay_policy, &is.replay_policy);
    drift.field("backoff", &wanted.backoff, &is.backoff);
    drift.field("headers_only", &wanted.headers_only, &is.headers_only);
    drift.found.extend(Limit::of_consumer(wanted, is).iter().map(|limit| limit.difference(&of)));
    drift.found
}
