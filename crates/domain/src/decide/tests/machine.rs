//! The way of our texts as a machine: whatever happens in whatever order, no text is sent again that the provider may
//! have, unless a person or the line wants it so; and reports say the same in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::bench::{ANNA, Bench, HEATHER, MAIN};
use crate::case::Trail;
use crate::command::Command;
use crate::decide::{Outcome, Sighting};
use crate::line::WhenUncertain;
use crate::outbox::{AttemptOutcome, OutboxState, Outgoing};
use crate::settle::{Answer, Listed, Look, Verdict};
use crate::{CaseNumber, DeliveryStatus, MessageId};

/// So many cases, or as many as `PROPTEST_CASES` says.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// Something that may happen next; indices name one of what there is.
#[derive(Clone, Debug)]
enum Step {
    /// An agent writes a text.
    Reply,
    /// Every text that waits is claimed and POSTed; what became of each at the provider.
    Claim(Vec<Fate>),
    /// The outcome of an attempt arrives, for the first time or again.
    Told(Index),
    /// An attempt's process is gone.
    Lost(Index),
    /// A callback of a text that the provider took.
    Callback(Index, DeliveryStatus),
    /// The provider's list is read for a text.
    Look { text: Index, last: bool, complete: bool, readable: bool },
    /// A person decides.
    Verdict(Index, Verdict),
    /// Time passes, in seconds.
    Wait(i64),
}

/// What became of a request, and what its sender hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    TakenUnheard,
    NotTakenUnheard,
    SlowedDown,
    Refused,
}

/// A request.
#[derive(Clone, Debug)]
struct Post {
    message: MessageId,
    attempt: u32,
    fate: Fate,
    sid: String,
    at: chrono::DateTime<chrono::Utc>,
    /// Whether it is known that it may be repeated: it was surely not processed, or somebody wants it so.
    may_be_repeated: bool,
}

fn step() -> impl Strategy<Value = Step> {
    use Fate::{NotTakenUnheard, Refused, SlowedDown, Taken, TakenUnheard};
    let fate = select(vec![Taken, TakenUnheard, TakenUnheard, NotTakenUnheard, SlowedDown, Refused]);
    let status = select(vec![DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Undelivered]);
    let verdict = select(vec![Verdict::Arrived, Verdict::SendAgain, Verdict::DoNotSend]);
    let look = (any::<Index>(), any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.8));
    prop_oneof![
        1 => Just(Step::Reply),
        4 => vec(fate, 4).prop_map(Step::Claim),
        4 => any::<Index>().prop_map(Step::Told),
        2 => any::<Index>().prop_map(Step::Lost),
        2 => (any::<Index>(), status).prop_map(|(post, status)| Step::Callback(post, status)),
        3 => look.prop_map(|(text, last, complete, readable)| Step::Look { text, last, complete, readable }),
        1 => (any::<Index>(), verdict).prop_map(|(text, verdict)| Step::Verdict(text, verdict)),
        2 => (1..400_i64).prop_map(Step::Wait),
    ]
}

impl Bench {
    /// Begins attempts as the store's claim does: what is due, and of each conversation the oldest alone, unless what is
    /// before it is held for long enough.
    fn claim_in_turn(&mut self) -> Vec<(MessageId, u32)> {
        let now = self.now;
        let waits = |row: &Outgoing, other: &Outgoing| {
            other.conversation_id == row.conversation_id
                && (other.queued_at, other.message_id) < (row.queued_at, row.message_id)
                && (other.state != OutboxState::Uncertain || other.due_at > now)
        };
        let rows = &self.shelf.outbox;
        let due = rows.values().filter(|row| row.state == OutboxState::Pending && row.due_at <= now);
        let free = due.filter(|row| !rows.values().any(|other| waits(row, other)));
        let ids: Vec<_> = free.map(|row| row.message_id).collect();
        let begun = ids.into_iter().filter_map(|id| {
            let row = self.shelf.outbox.get_mut(&id)?;
            row.attempt += 1;
            row.state = OutboxState::Sending;
            row.lease_until = Some(now + TimeDelta::minutes(1));
            row.settling = row.settling.of_attempt(now);
            Some((id, row.attempt))
        });
        begun.collect()
    }
}

struct Machine {
    bench: Bench,
    case: CaseNumber,
    posts: Vec<Post>,
    replies: usize,
    /// How far the provider's clock is before ours.
    skew: TimeDelta,
}

impl Machine {
    fn new(when_uncertain: WhenUncertain, skew: TimeDelta) -> Self {
        let mut bench = Bench::new();
        bench.main().when_uncertain = when_uncertain;
        let (case, _) = bench.placed(HEATHER, "my heater is broken");
        Self { bench, case, posts: Vec::new(), replies: 0, skew }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Reply if self.replies < 3 => {
                self.replies += 1;
                // Two of them alike, so that the list can be ambiguous.
                let body = if self.replies < 3 { "on our way" } else { "we are there" };
                self.bench.reply(self.case, body, None);
            }
            Step::Claim(fates) => self.claim(&fates)?,
            Step::Told(post) => self.told(post),
            Step::Lost(post) => {
                if let Some(Post { message, attempt, .. }) = self.post(post, |_| true) {
                    self.bench.attempted(message, attempt, AttemptOutcome::Uncertain);
                }
            }
            Step::Callback(post, status) => {
                let taken = |post: &Post| matches!(post.fate, Fate::Taken | Fate::TakenUnheard);
                if let Some(Post { message, attempt, sid, .. }) = self.post(post, taken) {
                    let report = self.bench.report(&sid, status, Some((message, attempt)));
                    self.bench.take(report);
                }
            }
            Step::Look { text, last, complete, readable } => self.look(text, last, complete, readable)?,
            Step::Verdict(text, verdict) => self.verdict(text, verdict),
            Step::Wait(seconds) => self.bench.wait(TimeDelta::seconds(seconds)),
            Step::Reply => {}
        }
        Ok(())
    }

    fn post(&self, index: Index, wanted: impl Fn(&Post) -> bool) -> Option<Post> {
        let posts: Vec<_> = self.posts.iter().filter(|post| wanted(post)).collect();
        (!posts.is_empty()).then(|| (*index.get(&posts)).clone())
    }

    /// The one rule: whatever is POSTed was never POSTed before without being surely not processed.
    fn claim(&mut self, fates: &[Fate]) -> Result<(), TestCaseError> {
        for (i, (message, attempt)) in self.bench.claim_in_turn().into_iter().enumerate() {
            let before: Vec<_> = self.posts.iter().filter(|post| post.message == message).collect();
            prop_assert!(before.iter().all(|post| post.may_be_repeated), "{message} again after {before:?}");
            prop_assert!(before.iter().all(|post| post.attempt < attempt), "one attempt twice");
            let (sid, at) = (self.bench.sid(), self.bench.now);
            let fate = fates[i % fates.len()];
            self.posts.push(Post { message, attempt, fate, sid, at, may_be_repeated: false });
        }
        Ok(())
    }

    fn told(&mut self, index: Index) {
        let Some(Post { message, attempt, fate, sid, .. }) = self.post(index, |_| true) else { return };
        let outcome = match fate {
            Fate::Taken => AttemptOutcome::Accepted { provider_sid: sid, status: DeliveryStatus::Queued },
            Fate::TakenUnheard | Fate::NotTakenUnheard => AttemptOutcome::Uncertain,
            Fate::SlowedDown => AttemptOutcome::NotProcessed { retry_after: Duration::from_secs(1) },
            Fate::Refused => AttemptOutcome::Rejected { code: Some(21_614) },
        };
        self.bench.attempted(message, attempt, outcome);
        if fate == Fate::SlowedDown {
            self.repeatable(message, attempt);
        }
    }

    fn repeatable(&mut self, message: MessageId, up_to: u32) {
        let posts = self.posts.iter_mut().filter(|post| post.message == message && post.attempt <= up_to);
        posts.for_each(|post| post.may_be_repeated = true);
    }

    /// One of the texts that are uncertain, with its attempt.
    fn uncertain(&self, index: Index) -> Option<(MessageId, u32)> {
        let rows = self.bench.shelf.outbox.values().filter(|row| row.state == OutboxState::Uncertain);
        let rows: Vec<_> = rows.map(|row| (row.message_id, row.attempt)).collect();
        (!rows.is_empty()).then(|| *index.get(&rows))
    }

    /// The list tells the truth, as far as it is read: what it shows is neither sent again nor said to be missing.
    fn look(
        &mut self,
        index: Index,
        last: bool,
        complete: bool,
        readable: bool,
    ) -> Result<(), TestCaseError> {
        let Some((message_id, attempt)) = self.uncertain(index) else { return Ok(()) };
        let taken = self.posts.iter().filter(|post| matches!(post.fate, Fate::Taken | Fate::TakenUnheard));
        let mut taken: Vec<_> = taken.collect();
        if !complete {
            taken.drain(..taken.len() / 2);
        }
        let texts = taken.iter().map(|post| self.listed(post)).collect();
        let shown: Vec<_> = taken.iter().map(|post| post.message).collect();
        let retry_after = Duration::from_secs(15);
        let answer =
            if readable { Answer::Listed { texts, complete } } else { Answer::Unreadable { retry_after } };
        let look = Look { message_id, attempt, last, resends_most: 1, answer };
        let held_before = self.bench.trail(Trail::SendUnsettled).len();
        let outcome = self.bench.take(Command::Looked(look));
        let held = &self.bench.trail(Trail::SendUnsettled)[held_before..];
        let missing = held.iter().any(|entry| entry.why.tree()["because"] == "not_found");
        if missing || outcome == Outcome::Looked(Sighting::SentAgain) {
            prop_assert!(!shown.contains(&message_id), "{message_id} is on the list");
        }
        if outcome == Outcome::Looked(Sighting::SentAgain) {
            self.repeatable(message_id, attempt);
        }
        Ok(())
    }

    fn listed(&self, post: &Post) -> Listed {
        Listed {
            sid: post.sid.clone(),
            created_at: Some(post.at + self.skew),
            as_ours: true,
            body: self.bench.message(post.message).body.clone(),
            status: Some(DeliveryStatus::Sent),
            error_code: None,
        }
    }

    fn verdict(&mut self, index: Index, verdict: Verdict) {
        let Some((message_id, attempt)) = self.uncertain(index) else { return };
        let resolve = Command::Resolve { case: self.case, message_id, verdict, actor: ANNA.into() };
        if self.bench.take(resolve) == Outcome::Resolved && verdict == Verdict::SendAgain {
            self.repeatable(message_id, attempt);
        }
    }

    /// While nobody had a text sent again, the provider has it once at most, and what is bound is its own.
    fn all_is_well(&self) -> Result<(), TestCaseError> {
        for message in self.bench.shelf.messages.values() {
            let Some(sid) = &message.provider_sid else { continue };
            let own = self.posts.iter().find(|post| post.sid == *sid).map(|post| post.message);
            prop_assert!(
                own.is_none_or(|own| own == message.id),
                "{} has the id of another text",
                message.id
            );
            prop_assert!(
                !self.bench.shelf.outbox.contains_key(&message.id),
                "{} is bound and waits",
                message.id
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_500)))]

    #[test]
    fn no_text_is_posted_again_that_the_provider_may_have(
        resend in any::<bool>(),
        skew in prop_oneof![-4..=4_i64, -600..=600_i64],
        steps in vec(step(), 1..40),
    ) {
        let when = if resend { WhenUncertain::Resend } else { WhenUncertain::Hold };
        let mut machine = Machine::new(when, TimeDelta::seconds(skew));
        for step in steps {
            machine.take(step)?;
            machine.all_is_well()?;
        }
    }
}

/// A report of one text of ours: on our path or by the provider's id alone.
fn report() -> impl Strategy<Value = (DeliveryStatus, Option<u32>, bool)> {
    let statuses = ["queued", "sending", "sent", "failed", "undelivered", "delivered", "read"];
    let status = select(statuses.to_vec()).prop_map(|name| DeliveryStatus::parse(name).unwrap());
    (status, select(vec![None, None, Some(30_003), Some(30_005)]), any::<bool>())
}

/// What is known of a text once these reports have come, in this order.
fn known_after(reports: &[(DeliveryStatus, Option<u32>, bool)]) -> BTreeMap<MessageId, String> {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    for (status, code, named) in reports {
        let report = bench.report_on(MAIN, &sid, *status, *code, named.then_some((id, 1)));
        bench.take(report);
    }
    let accepted = AttemptOutcome::Accepted { provider_sid: sid, status: DeliveryStatus::Queued };
    bench.attempted(id, 1, accepted);
    // What came before its text was known is handled again.
    for (status, code, _) in reports {
        let sid = bench.message(id).provider_sid.clone().unwrap();
        let again = bench.report_on(MAIN, &sid, *status, *code, None);
        bench.take(again);
    }
    let what = |id: &MessageId| {
        let message = bench.message(*id);
        format!("{:?} {:?} {:?}", message.progress, message.provider_sid, bench.outbox(*id))
    };
    [(id, what(&id))].into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_000)))]

    #[test]
    fn reports_of_a_text_say_the_same_in_any_order_and_however_often(
        reports in vec(report(), 1..8),
        order in vec(any::<Index>(), 0..24),
    ) {
        // Every report at least once, some again, all in another order.
        let mut shuffled: Vec<_> = order.iter().map(|index| *index.get(&reports)).collect();
        shuffled.extend(reports.iter().rev().copied());
        prop_assert_eq!(known_after(&shuffled), known_after(&reports));
    }
}
