//! A bounded store in order of arrival, with an index: what is oldest leaves when it is full.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

/// What can be found on a [`Shelf`], and under which keys.
pub(crate) trait Shelved {
    type Key: Eq + Hash;
    /// The keys, which must never change while the item is on the shelf.
    fn keys(&self) -> Vec<Self::Key>;
}

/// A store of at most `keep` items; each has a place, which grows with arrival and is never used twice.
pub(crate) struct Shelf<T: Shelved> {
    keep: usize,
    next: u64,
    items: BTreeMap<u64, T>,
    index: HashMap<T::Key, VecDeque<u64>>,
}

impl<T: Shelved> Shelf<T> {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep: keep.max(1), next: 1, items: BTreeMap::new(), index: HashMap::new() }
    }

    /// Puts an item on the shelf and gives its place; a full shelf drops its oldest item, which is returned.
    pub(crate) fn push(&mut self, item: T) -> (u64, Option<T>) {
        let place = self.next;
        self.next += 1;
        for key in item.keys() {
            self.index.entry(key).or_default().push_back(place);
        }
        self.items.insert(place, item);
        let oldest = self.items.first_key_value().map(|(&oldest, _)| oldest);
        let dropped = oldest.filter(|_| self.items.len() > self.keep).and_then(|oldest| self.remove(oldest));
        (place, dropped)
    }

    /// The place the next item will get.
    pub(crate) fn next_place(&self) -> u64 {
        self.next
    }

    pub(crate) fn get(&self, place: u64) -> Option<&T> {
        self.items.get(&place)
    }

    pub(crate) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        self.items.get_mut(&place)
    }

    pub(crate) fn remove(&mut self, place: u64) -> Option<T> {
        let item = self.items.remove(&place)?;
        for key in item.keys() {
            let Some(places) = self.index.get_mut(&key) else { continue };
            if let Ok(at) = places.binary_search(&place) {
                places.remove(at);
            }
            if places.is_empty() {
                self.index.remove(&key);
            }
        }
        Some(item)
    }

    /// How many items have this key.
    pub(crate) fn count(&self, key: &T::Key) -> usize {
        self.index.get(key).map_or(0, VecDeque::len)
    }

    /// The items of a key in places below `below`, newest first.
    pub(crate) fn newest_first(&self, key: &T::Key, below: u64) -> impl Iterator<Item = (u64, &T)> {
        let places = self.index.get(key).into_iter().flat_map(move |places| {
            let end = places.partition_point(|&place| place < below);
            places.range(..end).rev()
        });
        places.filter_map(|&place| self.items.get(&place).map(|item| (place, item)))
    }

    /// The items of a key in places above `after`, oldest first.
    pub(crate) fn since(&self, key: &T::Key, after: u64) -> impl Iterator<Item = (u64, &T)> {
        let places = self.index.get(key).into_iter().flat_map(move |places| {
            let start = places.partition_point(|&place| place <= after);
            places.range(start..)
        });
        places.filter_map(|&place| self.items.get(&place).map(|item| (place, item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Shelved for (&'static str, u32) {
        type Key = &'static str;
        fn keys(&self) -> Vec<&'static str> {
            vec![self.0]
        }
    }

    fn numbers<'a>(items: impl Iterator<Item = (u64, &'a (&'static str, u32))>) -> Vec<u32> {
        items.map(|(_, item)| item.1).collect()
    }

    #[test]
    fn items_are_found_by_key_from_either_end() {
        let mut shelf = Shelf::new(10);
        for n in 1..=6 {
            shelf.push((if n % 2 == 0 { "even" } else { "odd" }, n));
        }
        assert_eq!(numbers(shelf.newest_first(&"even", u64::MAX)), [6, 4, 2]);
        assert_eq!(numbers(shelf.newest_first(&"even", 6)), [4, 2]);
        assert_eq!(numbers(shelf.since(&"odd", 1)), [3, 5]);
        shelf.remove(4);
        assert_eq!(numbers(shelf.since(&"even", 0)), [2, 6]);
    }

    #[test]
    fn a_full_shelf_drops_its_oldest_item_and_its_keys() {
        let mut shelf = Shelf::new(2);
        shelf.push(("old", 1));
        shelf.push(("new", 2));
        let (place, dropped) = shelf.push(("new", 3));
        assert_eq!((place, dropped), (3, Some(("old", 1))));
        assert_eq!(shelf.count(&"old"), 0);
        assert_eq!(shelf.next_place(), 4);
    }
}
