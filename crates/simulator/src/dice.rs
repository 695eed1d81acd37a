//! Seeded randomness: the same seed and the same requests give the same SIDs, delays and faults.

/// A small generator (SplitMix64, public domain). Nothing secret comes from it.
pub(crate) struct Dice(u64);

impl Dice {
    /// Rolls the same for the same seed; without one, differently in every process: SIDs must not repeat
    /// after a restart, or whoever remembers them takes new texts for old.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(|| getrandom::u64().unwrap_or(0x9E37_79B9_7F4A_7C15)))
    }

    /// Another generator, whose rolls do not depend on how often this one is rolled from now on.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.roll())
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn roll_wide(&mut self) -> u128 {
        u128::from(self.roll()) << 64 | u128::from(self.roll())
    }

    /// True with this probability: never at 0, always at 1.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        let unit = (self.roll() >> 11) as f64 / (1u64 << 53) as f64;
        unit < probability
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.checked_sub(low) {
            None | Some(0) => low,
            Some(width) => low + self.roll() % (width.saturating_add(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same() {
        let (mut a, mut b, mut c) = (Dice::new(Some(7)), Dice::new(Some(7)), Dice::new(Some(8)));
        assert_eq!(a.roll_wide(), b.roll_wide());
        assert_ne!(a.roll_wide(), c.roll_wide());
    }

    #[test]
    fn chances_and_ranges_keep_their_limits() {
        let mut dice = Dice::new(Some(1));
        for _ in 0..1_000 {
            assert!(dice.chance(1.0) && !dice.chance(0.0));
            assert!((5..=9).contains(&dice.between(5, 9)));
        }
        assert_eq!(dice.between(9, 5), 9);
    }
}
