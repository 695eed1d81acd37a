//! `[guard]`: what keeps two automatons from texting each other.

use std::num::NonZeroU32;

use super::section::section;

section! {
    /// What keeps two automatons from texting each other. The provider stops only at thirty replies with gaps under
    /// 30 s; two automatons with slower answers would never stop.
    pub struct Guard {
        /// Automatic replies to one contact on one line in ten minutes.
        pub replies_per_ten_minutes: NonZeroU32 = const { NonZeroU32::new(3).unwrap() },
        /// The same in a day.
        pub replies_per_day: NonZeroU32 = const { NonZeroU32::new(10).unwrap() },
    }
}
