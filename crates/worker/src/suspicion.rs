//! Which events of a batch are handled with care. What came often may be what ends the process, and with the process
//! every event that was in its hands came once more: the innocent are told from the guilty by handling each alone, in
//! another order each time, until they got away.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use casewire_bus::Delivery;
use casewire_runtime::config;

/// Events that are handled together.
pub(crate) struct Round {
    /// Whether they came too often: they are set aside, and nothing else is done with them.
    pub(crate) given_up: bool,
    /// The events.
    pub(crate) deliveries: Vec<Delivery>,
}

/// The rounds of a batch, in order: first what is given up, then what is above suspicion, then each suspect alone.
/// Nothing of an event is looked at but how often it came and where it stands in the stream.
pub(crate) fn rounds(deliveries: Vec<Delivery>, settings: &config::Worker) -> VecDeque<Round> {
    let came = |delivery: &Delivery, times: NonZeroU32| delivery.attempt >= times.get().into();
    let (given_up, rest): (Vec<_>, Vec<_>) =
        deliveries.into_iter().partition(|delivery| came(delivery, settings.most_deliveries));
    let (mut suspects, usual): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|delivery| came(delivery, settings.suspect_from));
    let turn = suspects.iter().map(|delivery| delivery.attempt).max().unwrap_or_default();
    suspects.sort_by_key(|delivery| place(turn, settings.suspect_from.get().into(), delivery.sequence));
    let groups = [(true, given_up), (false, usual)].into_iter();
    let groups = groups.chain(suspects.into_iter().map(|suspect| (false, vec![suspect])));
    let rounds = groups.map(|(given_up, deliveries)| Round { given_up, deliveries });
    rounds.filter(|round| !round.deliveries.is_empty()).collect()
}

/// Where an event stands among suspects. First as they came, then backwards: of a batch with one killer whoever stood
/// before it gets away on one of the two, and whoever stood behind it on the other. Then in an order of chance, for
/// those who stood between two.
fn place(turn: u64, first: u64, sequence: u64) -> u64 {
    match turn.saturating_sub(first) {
        0 => sequence,
        1 => u64::MAX - sequence,
        _ => mixed(sequence ^ mixed(turn)),
    }
}

/// A number in which every bit depends on every bit of another (the end of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(turn: u64) -> Vec<u64> {
        let mut sequences: Vec<u64> = (1..=64).collect();
        sequences.sort_by_key(|sequence| place(turn, 3, *sequence));
        sequences
    }

    #[test]
    fn of_a_batch_with_one_killer_everybody_else_gets_away_in_two_turns() {
        for killer in 1..=64 {
            let mut left = order(3);
            for turn in [3, 4] {
                let before = |sequence: &u64| {
                    order(turn).into_iter().take_while(|at| *at != killer).any(|at| at == *sequence)
                };
                left.retain(|sequence| !before(sequence));
            }
            assert_eq!(left, [killer]);
        }
    }

    #[test]
    fn later_turns_differ_from_each_other() {
        let orders: std::collections::BTreeSet<_> = (3..=9).map(order).collect();
        assert_eq!(orders.len(), 7);
    }
}
