//! Chance that is the same in every run.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// So many people from one on, everybody alike: nobody texts faster than a person can, whom the whole load of a
/// benchmark would otherwise come down to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Senders {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Senders {
    pub(crate) fn new(count: u64) -> Self {
        Self { first: 0, count }
    }

    /// Somebody, by their index.
    pub(crate) fn draw(&self, dice: &mut Dice) -> u64 {
        self.first + dice.next() % self.count.max(1)
    }
}
