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

    /// Between 0 and 1, without 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Who texts how often.
#[derive(Clone, Debug)]
pub(crate) enum Senders {
    /// So many people from one on, everybody alike.
    Even { first: u64, count: u64 },
    /// By Zipf's law, the second half as often as the first: where each one's share of all texts ends.
    Zipf(Vec<f64>),
}

impl Senders {
    pub(crate) fn zipf(count: u64) -> Self {
        let mut sum = 0.0;
        let share = |rank: u64| {
            sum += 1.0 / (rank + 1) as f64;
            sum
        };
        Self::Zipf((0..count).map(share).collect())
    }

    /// Somebody, by their index.
    pub(crate) fn draw(&self, dice: &mut Dice) -> u64 {
        match self {
            Self::Even { first, count } => first + dice.next() % count.max(&1),
            Self::Zipf(ends) => {
                let point = dice.part() * ends.last().copied().unwrap_or_default();
                ends.partition_point(|end| *end <= point) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_texts_twice_as_often_as_the_second() {
        let (senders, mut dice) = (Senders::zipf(1000), Dice::new(7));
        let mut counts = vec![0_u32; 1000];
        for _ in 0..200_000 {
            counts[senders.draw(&mut dice) as usize] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(counts[999] > 0);
    }
}
