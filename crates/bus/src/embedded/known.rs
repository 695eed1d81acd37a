//! Which dedupe ids the file holds, in memory: random ids would be random pages of the file, and those were most of what
//! a commit wrote. The file keeps them in order of storing, and only its writer asks for them.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use sqlx::SqliteConnection;

use super::database;

/// Hashes an id with the key of this process.
pub(super) type Hash = fn(&RandomState, &str) -> u64;

#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    sequence: i64,
    stored_at: i64,
}

/// The ids by hash. Several may share one: who is told of a suspect compares the id in the file.
#[derive(Debug)]
pub(super) struct KnownIds {
    /// Another one in each process, so that nobody can choose ids of one hash.
    key: RandomState,
    hash: Hash,
    most: usize,
    /// A tree and no hash table, which would stop the writer each time it grows.
    by_hash: BTreeSet<(u64, i64)>,
    in_order: VecDeque<Known>,
    /// Up to this sequence the file's ids were read or learned.
    last: i64,
}

impl KnownIds {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self::hashed_by(most, |key, id| key.hash_one(id))
    }

    pub(super) fn hashed_by(most: usize, hash: Hash) -> Self {
        let (key, by_hash, in_order) = Default::default();
        Self { key, hash, most, by_hash, in_order, last: 0 }
    }

    pub(super) fn hash(&self, id: &str) -> u64 {
        (self.hash)(&self.key, id)
    }

    /// Sequences under which one of these ids may be stored. Under any other none of them is.
    pub(super) fn suspects<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<i64> {
        let of_hash = |hash| self.by_hash.range((hash, i64::MIN)..=(hash, i64::MAX));
        ids.flat_map(|id| of_hash(self.hash(id))).map(|(_, sequence)| *sequence).collect()
    }

    /// The first that is not forgotten.
    pub(super) fn first(&self) -> Option<i64> {
        self.in_order.front().map(|first| first.sequence)
    }

    /// Takes over what a committed transaction stored, hashes and sequences, and forgets twice as many of those that were
    /// stored up to `expired`: no group is slow, however many are over at once.
    pub(super) fn learn(&mut self, new: &[(u64, i64)], stored_at: i64, expired: i64) {
        for &(hash, sequence) in new {
            self.add(Known { hash, sequence, stored_at });
        }
        for _ in 0..new.len().saturating_mul(2) {
            if self.in_order.front().is_none_or(|first| first.stored_at > expired) {
                break;
            }
            self.forget_first();
        }
        self.bound();
    }

    /// Takes over what the file holds beyond what is known, but for what was stored up to `expired`.
    pub(super) async fn read(&mut self, connection: &mut SqliteConnection, expired: i64) -> sqlx::Result<()> {
        let last = database::last_sequence(connection).await?;
        let (after, most) = (self.last, self.most);
        let read = database::read_ids(connection, after, expired, most, |sequence, id, stored_at| {
            self.add(Known { hash: self.hash(id), sequence, stored_at });
        });
        read.await?;
        self.bound();
        self.last = last;
        Ok(())
    }

    fn add(&mut self, known: Known) {
        self.by_hash.insert((known.hash, known.sequence));
        self.in_order.push_back(known);
        self.last = known.sequence;
    }

    fn bound(&mut self) {
        while self.in_order.len() > self.most {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.in_order.pop_front() {
            self.by_hash.remove(&(first.hash, first.sequence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(known: &mut KnownIds, ids: &[(&str, i64)], stored_at: i64, expired: i64) {
        let new: Vec<_> = ids.iter().map(|(id, sequence)| (known.hash(id), *sequence)).collect();
        known.learn(&new, stored_at, expired);
    }

    fn suspects(known: &KnownIds, id: &str) -> Vec<i64> {
        known.suspects([id].into_iter())
    }

    #[test]
    fn all_ids_of_one_hash_are_suspects_until_each_is_forgotten() {
        let mut known = KnownIds::hashed_by(9, |_, _| 7);
        learned(&mut known, &[("a", 1), ("b", 2)], 10, 0);
        assert_eq!(suspects(&known, "c"), [1, 2]);
        known.forget_first();
        assert_eq!(suspects(&known, "c"), [2]);
    }

    #[test]
    fn an_id_is_forgotten_once_it_is_over_and_not_before() {
        let mut known = KnownIds::new(9);
        learned(&mut known, &[("a", 1)], 10, 0);
        learned(&mut known, &[("b", 2)], 20, 9);
        assert_eq!(suspects(&known, "a"), [1]);
        learned(&mut known, &[("c", 3)], 30, 10);
        assert_eq!((suspects(&known, "a"), suspects(&known, "b"), known.first()), (vec![], vec![2], Some(2)));
    }

    #[test]
    fn what_is_over_is_forgotten_twice_as_fast_as_new_ids_come() {
        let mut known = KnownIds::new(99);
        let many: Vec<_> = (1..=10).map(|sequence| ("a", sequence)).collect();
        learned(&mut known, &many, 10, 0);
        for (sequence, left) in [(11, 9), (12, 8), (13, 7)] {
            learned(&mut known, &[("b", sequence)], 50, 10);
            assert_eq!(known.in_order.len(), left);
        }
    }

    #[test]
    fn beyond_the_bound_the_first_are_forgotten() {
        let mut known = KnownIds::new(2);
        learned(&mut known, &[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)], 10, 0);
        assert_eq!((known.in_order.len(), known.by_hash.len(), known.first()), (2, 2, Some(4)));
        assert_eq!((suspects(&known, "c"), suspects(&known, "e")), (vec![], vec![5]));
    }

    #[test]
    fn with_a_bound_of_none_nothing_is_known() {
        let mut known = KnownIds::new(0);
        learned(&mut known, &[("a", 1)], 10, 0);
        assert_eq!((suspects(&known, "a"), known.first()), (vec![], None));
    }
}
