//! The rule by which ids on the provider's list are given to texts of ours, against worlds in which it is known whose
//! each id is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// One of our texts with the same words to the same person, and what the provider made of its attempts.
#[derive(Clone, Debug)]
struct Sent {
    /// Seconds after the one before, whose lane it waited for.
    gap: i64,
    /// For each attempt, seconds until the provider created the text; `None` where it never did.
    taken: Vec<Option<i64>>,
    /// Whether the last attempt is under way still.
    sending: bool,
    /// Whether a callback has bound it by now.
    bound: bool,
    /// Whether a person has given it up, so that nobody knows when its attempts began.
    forgotten: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let taken = proptest::collection::vec(proptest::option::weighted(0.7, 0..30i64), 1..3);
    (
        60..400i64,
        taken,
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(gap, taken, sending, bound, forgotten)| Sent {
            gap,
            taken,
            sending,
            bound,
            forgotten,
        })
}

/// Every attempt of a text begins so long after the one before: the list was read for the last time meanwhile.
const ATTEMPTS_APART: i64 = 310;

struct World {
    claimants: Vec<Claimant>,
    /// Ids that no text has, and whose they are.
    free: BTreeMap<String, (DateTime<Utc>, MessageId)>,
}

impl World {
    fn of(texts: &[Sent], skew: i64) -> Self {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut world = Self { claimants: Vec::new(), free: BTreeMap::new() };
        let mut begun = 1_000_000;
        for (number, text) in texts.iter().enumerate() {
            begun += text.gap;
            let id = MessageId(Uuid::from_u128(number as u128));
            let first = begun;
            for (attempt, taken) in text.taken.iter().enumerate() {
                begun = first + ATTEMPTS_APART * attempt as i64;
                if let Some(delay) = taken.filter(|_| !text.bound) {
                    let sid = format!("SM{number}{attempt}");
                    world.free.insert(sid, (at(begun + delay + skew), id));
                }
            }
            if !text.bound {
                world.claimants.push(Claimant {
                    attempts: (!text.forgotten).then_some((at(first), at(begun))),
                    sent: text.taken.len(),
                    sending: text.sending && !text.forgotten,
                    id,
                });
            }
        }
        world
    }

    /// What is told of a text where the list shows these ids.
    fn look(&self, text: &Claimant, shown: &BTreeSet<&String>) -> Attribution {
        let free = self.free.iter().filter(|(sid, _)| shown.contains(sid));
        let free: Vec<_> = free.map(|(sid, (created, _))| (*created, sid.clone())).collect();
        let rivals: Vec<_> = self.claimants.iter().filter(|other| other.id != text.id).cloned().collect();
        attribute(text, &rivals, &free)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn an_id_is_never_given_to_another_text_even_where_the_list_hides_some(
        texts in proptest::collection::vec(sent(), 1..5),
        skew in prop_oneof![-4..=4i64, -600..=600i64],
        hidden in proptest::collection::vec(any::<bool>(), 10),
    ) {
        let world = World::of(&texts, skew);
        let shown: BTreeSet<_> =
            world.free.keys().zip(&hidden).filter(|(_, hidden)| !**hidden).map(|(sid, _)| sid).collect();
        for text in &world.claimants {
            if let Attribution::Its(sid, more) = world.look(text, &shown) {
                for sid in [sid].iter().chain(&more) {
                    prop_assert_eq!(world.free[sid].1, text.id, "{}", sid);
                }
            }
        }
    }

    #[test]
    fn a_wrong_clock_never_makes_a_text_miss_that_the_list_shows(
        texts in proptest::collection::vec(sent(), 1..5),
        skew in -600..=600i64,
    ) {
        let world = World::of(&texts, skew);
        for text in world.claimants.iter().filter(|text| text.attempts.is_some()) {
            let mut own = world.free.values().filter(|(_, owner)| *owner == text.id);
            prop_assert!(own.all(|(created, _)| text.could_own(*created)));
        }
    }

    #[test]
    fn a_text_the_list_shows_never_counts_as_absent(
        texts in proptest::collection::vec(sent(), 1..5),
        skew in -4..=4i64,
    ) {
        let world = World::of(&texts, skew);
        let shown = world.free.keys().collect();
        for text in world.claimants.iter().filter(|text| text.attempts.is_some()) {
            let there = world.free.values().any(|(_, owner)| *owner == text.id);
            if there {
                prop_assert_ne!(world.look(text, &shown), Attribution::Absent);
            }
        }
    }

    #[test]
    fn texts_that_were_all_taken_once_all_find_their_ids(
        delays in proptest::collection::vec((60..400i64, 0..30i64), 1..5),
        skew in -4..=4i64,
    ) {
        let taken = |(gap, delay)| Sent {
            gap, taken: vec![Some(delay)], sending: false, bound: false, forgotten: false,
        };
        let mut world = World::of(&delays.into_iter().map(taken).collect::<Vec<_>>(), skew);
        // The oldest is looked for first, as the settler does; what is bound is no rival any more.
        while !world.claimants.is_empty() {
            let text = world.claimants[0].clone();
            let shown = world.free.keys().collect();
            let told = world.look(&text, &shown);
            let Attribution::Its(sid, more) = told else { return Err(TestCaseError::fail(format!("{told:?}"))) };
            prop_assert!(more.is_empty());
            world.free.remove(&sid);
            world.claimants.remove(0);
        }
    }
}

fn claimant(id: u128, begun: i64, sent: usize) -> Claimant {
    let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(begun);
    Claimant { attempts: Some((at, at)), sent, sending: false, id: MessageId(Uuid::from_u128(id)) }
}

fn free(seconds: &[i64]) -> Vec<(DateTime<Utc>, String)> {
    seconds.iter().map(|s| (DateTime::UNIX_EPOCH + TimeDelta::seconds(*s), format!("SM{s}"))).collect()
}

#[track_caller]
fn check(text: &Claimant, rivals: &[Claimant], seconds: &[i64], expected: Attribution) {
    assert_eq!(attribute(text, rivals, &free(seconds)), expected, "{seconds:?}");
}

fn its(first: i64, more: &[i64]) -> Attribution {
    Attribution::Its(format!("SM{first}"), more.iter().map(|s| format!("SM{s}")).collect())
}

#[test]
fn clocks_may_differ_by_a_little() {
    let text = claimant(1, 1_000, 1);
    check(&text, &[], &[995], its(995, &[]));
    check(&text, &[], &[994], Attribution::Absent);
    check(&text, &[], &[1_000 + REACH.num_seconds() + 1], Attribution::Absent);
    check(&text, &[], &[], Attribution::Absent);
}

#[test]
fn as_many_ids_as_it_was_sent_are_all_its_and_more_are_somebody_elses_too() {
    check(&claimant(1, 1_000, 2), &[], &[1_009, 1_003], its(1_003, &[1_009]));
    check(&claimant(1, 1_000, 1), &[], &[1_009, 1_003], Attribution::Unclear);
}

#[test]
fn equal_texts_that_were_all_taken_are_told_apart_by_their_order() {
    let (first, second) = (claimant(1, 1_000, 1), claimant(2, 1_070, 1));
    check(&first, std::slice::from_ref(&second), &[1_001, 1_072], its(1_001, &[]));
    check(&second, &[claimant(1, 1_068, 1)], &[1_072, 1_070], its(1_072, &[]));
}

#[test]
fn where_the_ids_of_many_hang_together_each_gets_its_own_or_none_does() {
    let texts: Vec<_> = (0..4).map(|i| claimant(i + 1, 1_000 + 400 * i as i64, 1)).collect();
    let check = |number: usize, skew: i64, seconds: &[i64], expected| {
        let rivals: Vec<_> = texts.iter().filter(|other| other.id != texts[number].id).cloned().collect();
        let seconds: Vec<_> = seconds.iter().map(|second| second + skew).collect();
        check(&texts[number], &rivals, &seconds, expected);
    };
    check(1, 3, &[1_000, 1_400, 1_800, 2_200], its(1_403, &[]));
    // By a clock that is 400 s wrong each looks like the one before it.
    check(1, -400, &[1_000, 1_400, 1_800, 2_200], Attribution::Unclear);
    check(1, -400, &[1_400, 1_800, 2_200], Attribution::Unclear);
    check(0, -400, &[1_400], Attribution::Unclear);
}

#[test]
fn where_one_of_two_may_be_missing_or_is_being_sent_nothing_is_bound() {
    let (first, second) = (claimant(1, 1_000, 1), claimant(2, 1_070, 1));
    check(&first, std::slice::from_ref(&second), &[1_072], Attribution::Unclear);
    check(&second, std::slice::from_ref(&first), &[1_072], Attribution::Unclear);
    let sending = Claimant { sending: true, ..second.clone() };
    check(&first, &[sending], &[1_001, 1_072], Attribution::Unclear);
    let again = Claimant { sent: 2, ..second };
    check(&first, &[again], &[1_001, 1_072], Attribution::Unclear);
    let forgotten = Claimant { attempts: None, ..claimant(2, 0, 1) };
    check(&first, &[forgotten], &[1_001], Attribution::Unclear);
}

#[test]
fn a_text_that_began_after_an_id_was_created_does_not_stand_in_the_way() {
    let later = |begun| Claimant { sending: true, ..claimant(2, begun, 1) };
    let second = 1_001 + SKEW.num_seconds();
    check(&claimant(1, 1_000, 1), &[later(second + 1)], &[1_001], its(1_001, &[]));
    // Unless a wrong clock may make it look so.
    check(&claimant(1, 1_000, 1), &[later(second)], &[1_001], Attribution::Unclear);
}
