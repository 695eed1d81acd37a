//! Never twice, whatever is told of attempts, in whatever order: once with every story anybody could tell,
//! and once with a provider that tells the truth, late, repeatedly or not at all.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::bench::{Bench, accepted};
use crate::outbox::{AttemptOutcome, OutboxState, Outgoing};
use crate::{DeliveryStatus, MessageId};

const NOT_PROCESSED: AttemptOutcome = AttemptOutcome::NotProcessed { retry_after: Duration::ZERO };

/// One thing that happens to a message on its way.
#[derive(Clone, Debug)]
enum Step {
    /// A sender takes what waits.
    Claim,
    /// Something is told of an attempt.
    Told(u32, AttemptOutcome),
    /// A callback comes, on the path of an attempt or with the provider's id alone.
    Report(Option<u32>, String, DeliveryStatus),
}

/// A few ids, the first of them another text's.
fn sid() -> impl Strategy<Value = String> {
    (1..4u32).prop_map(|n| format!("SM{n:032x}"))
}

fn status() -> impl Strategy<Value = DeliveryStatus> {
    prop_oneof![
        Just(DeliveryStatus::Sent),
        Just(DeliveryStatus::Delivered),
        Just(DeliveryStatus::Undelivered),
        Just(DeliveryStatus::Failed),
    ]
}

fn outcome() -> impl Strategy<Value = AttemptOutcome> {
    prop_oneof![
        3 => Just(NOT_PROCESSED),
        3 => Just(AttemptOutcome::Uncertain),
        1 => sid().prop_map(|sid| accepted(&sid)),
        1 => proptest::option::of(Just(21_610)).prop_map(|code| AttemptOutcome::Rejected { code }),
        1 => Just(AttemptOutcome::Suppressed),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Claim),
        4 => (1..4u32, outcome()).prop_map(|(attempt, outcome)| Step::Told(attempt, outcome)),
        1 => (proptest::option::of(1..4u32), sid(), status())
            .prop_map(|(attempt, sid, status)| Step::Report(attempt, sid, status)),
    ]
}

/// A reply about to be sent, after an acknowledgement that was accepted under the first id.
fn reply() -> (Bench, MessageId) {
    let mut bench = Bench::new();
    let (case, first) = bench.sending();
    bench.attempted(first, 1, accepted(&format!("SM{:032x}", 1)));
    bench.reply(case, "on our way", None);
    let id = *bench.shelf.outbox.keys().next().unwrap();
    (bench, id)
}

impl Step {
    fn happens(&self, bench: &mut Bench, id: MessageId) {
        match self {
            Self::Claim => drop(bench.claim()),
            Self::Told(attempt, outcome) => drop(bench.attempted(id, *attempt, outcome.clone())),
            Self::Report(attempt, sid, status) => {
                let report = bench.report(sid, *status, attempt.map(|attempt| (id, attempt)));
                bench.take(report);
            }
        }
    }

    /// Whether this is the definite word that the attempt under way was never processed.
    fn releases(&self, row: &Outgoing) -> bool {
        matches!(self, Self::Told(attempt, NOT_PROCESSED) if *attempt == row.attempt)
    }
}

proptest! {
    #[test]
    fn no_story_about_an_attempt_makes_a_second_one_but_that_it_was_never_processed(
        steps in vec(step(), 1..24),
    ) {
        let (mut bench, id) = reply();
        for step in steps {
            let (before, message) = (bench.shelf.outbox.get(&id).cloned(), bench.message(id).clone());
            step.happens(&mut bench, id);
            let (after, now) = (bench.shelf.outbox.get(&id), bench.message(id));
            if let (Some(before), Some(after)) = (&before, after)
                && before.state != OutboxState::Pending
                && after.state == OutboxState::Pending
            {
                prop_assert!(step.releases(before), "{step:?} released {before:?}");
            }
            prop_assert!(before.is_some() || after.is_none(), "{step:?} brought a settled text back");
            prop_assert!(now.provider_sid.is_none() || after.is_none(), "{step:?} left a bound text");
            prop_assert!(message.provider_sid.is_none() || now.provider_sid == message.provider_sid);
            prop_assert_eq!(message.progress.join(now.progress), now.progress, "progress went back");
        }
    }
}

/// What a provider that tells the truth has made of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    /// The request is still under way.
    Open,
    Taken,
    NeverProcessed,
    Refused,
}

/// What happens between us and that provider, to the attempt of this index.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Claim,
    /// The provider makes up its mind about a request that is under way.
    Becomes(usize, Truth),
    /// The answer reaches us, as late and as often as it likes.
    Answers(usize),
    /// We give up waiting, or the process that asked is gone.
    Lost(usize),
    /// A callback for a text it took, with our path or without.
    Reports(usize, bool),
}

fn fact() -> impl Strategy<Value = Fact> {
    let truth = prop_oneof![
        2 => Just(Truth::Taken),
        3 => Just(Truth::NeverProcessed),
        1 => Just(Truth::Refused),
    ];
    prop_oneof![
        2 => Just(Fact::Claim),
        3 => (0..3usize, truth).prop_map(|(i, truth)| Fact::Becomes(i, truth)),
        3 => (0..3usize).prop_map(Fact::Answers),
        1 => (0..3usize).prop_map(Fact::Lost),
        1 => (0..3usize, any::<bool>()).prop_map(|(i, path)| Fact::Reports(i, path)),
    ]
}

/// The provider's side: what it made of each attempt.
struct Provider {
    bench: Bench,
    id: MessageId,
    truths: Vec<Truth>,
}

impl Provider {
    fn sid(attempt: usize) -> String {
        format!("SM{:032x}", 0x100 + attempt)
    }

    fn tell(&mut self, i: usize, outcome: AttemptOutcome) {
        self.bench.attempted(self.id, u32::try_from(i + 1).unwrap(), outcome);
    }

    fn happens(&mut self, fact: Fact) {
        match fact {
            Fact::Claim => self.truths.extend(self.bench.claim().iter().map(|_| Truth::Open)),
            Fact::Becomes(i, truth) => {
                if let Some(known @ Truth::Open) = self.truths.get_mut(i) {
                    *known = truth;
                }
            }
            Fact::Answers(i) => match self.truths.get(i) {
                Some(Truth::Taken) => self.tell(i, accepted(&Self::sid(i))),
                Some(Truth::NeverProcessed) => self.tell(i, NOT_PROCESSED),
                Some(Truth::Refused) => self.tell(i, AttemptOutcome::Rejected { code: None }),
                Some(Truth::Open) | None => {}
            },
            Fact::Lost(i) if i < self.truths.len() => self.tell(i, AttemptOutcome::Uncertain),
            Fact::Reports(i, path) if self.truths.get(i) == Some(&Truth::Taken) => {
                let ours = path.then(|| (self.id, u32::try_from(i + 1).unwrap()));
                let report = self.bench.report(&Self::sid(i), DeliveryStatus::Delivered, ours);
                self.bench.take(report);
            }
            Fact::Lost(_) | Fact::Reports(..) => {}
        }
    }
}

proptest! {
    // Two attempts must be crossed in the right order to go wrong: that takes many tries.
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_provider_that_tells_the_truth_never_holds_two_texts_for_one_message(
        facts in vec(fact(), 1..40),
    ) {
        let (bench, id) = reply();
        let mut provider = Provider { bench, id, truths: Vec::new() };
        for fact in facts {
            provider.happens(fact);
            let taken = provider.truths.iter().filter(|truth| **truth == Truth::Taken).count();
            prop_assert!(taken <= 1, "after {fact:?}: {:?}", provider.truths);
        }
        // In the end one callback on the path settles what the provider took.
        let Some(i) = provider.truths.iter().position(|truth| *truth == Truth::Taken) else { return Ok(()) };
        provider.happens(Fact::Reports(i, true));
        prop_assert_eq!(provider.bench.message(id).provider_sid.clone(), Some(Provider::sid(i)));
        prop_assert_eq!(provider.bench.outbox(id), None);
    }
}
