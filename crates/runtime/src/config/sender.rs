//! `[sender]`: how the outbox reaches the provider.

use std::num::NonZeroU32;
use std::time::Duration;

use super::section::section;

section! {
    /// How the outbox reaches the provider.
    pub struct Sender {
        /// Sends under way at once in a process. At 200 ms each, 32 make 160 a second.
        pub concurrency: NonZeroU32 = const { NonZeroU32::new(32).unwrap() },
        /// How long a claimed text belongs to its process. Well over `request_timeout`: a lease that ends during
        /// the request makes the text uncertain.
        pub lease: Duration = Duration::from_secs(60),
        /// Texts a second of a line that has no rate of its own.
        pub rate_per_line: NonZeroU32 = const { NonZeroU32::new(100).unwrap() },
        /// How often the outbox is looked at when nothing woke the sender: for what a desk of another process queued, and for
        /// texts whose pause is over. Nobody waits half a second for a text to leave, and a look costs each worker as much
        /// as nine texts that come in.
        pub poll_interval: Duration = Duration::from_millis(500),
        /// Pause between two looks that found something, so that under load one takes several texts. After one that
        /// found a text for every place it ends as soon as all of them are sent.
        pub claim_interval: Duration = Duration::from_millis(10),
        /// Most outcomes of attempts written in one transaction.
        pub record_batch: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// First pause before a text that was surely not processed (429, no connection) is tried again; it doubles,
        /// with jitter, up to `retry_most`.
        pub retry_first: Duration = Duration::from_secs(1),
        /// Longest such pause.
        pub retry_most: Duration = Duration::from_secs(5 * 60),
        /// How much slower an account sends once the provider says that it sends too fast (429), in percent.
        pub throttle_cut: NonZeroU32 = const { NonZeroU32::new(30).unwrap() },
        /// How much faster it sends again each second, in percent; five times that beyond where the limit last was. With
        /// these two the limit is met about every 18 s, and a few texts in a hundred are refused.
        pub throttle_growth: NonZeroU32 = const { NonZeroU32::new(2).unwrap() },
        /// Texts a second that an account tries at least, to see whether the provider takes them again.
        pub throttle_least: NonZeroU32 = const { NonZeroU32::new(1).unwrap() },
        /// Within this time several 429 count as one: whatever was under way is answered alike.
        pub throttle_window: Duration = Duration::from_secs(1),
        /// After this long without a 429 an account sends at will.
        pub throttle_forget: Duration = Duration::from_secs(10 * 60),
        /// Time to connect. Nothing was sent then, so a retry is safe: better early.
        pub connect_timeout: Duration = Duration::from_secs(3),
        /// Time for the whole request. Beyond it the outcome is uncertain, so it is generous.
        pub request_timeout: Duration = Duration::from_secs(15),
        /// How long nothing is sent for an account that the provider refused (a wrong token, a closed account).
        pub refused_pause: Duration = Duration::from_secs(30),
        /// How long after an attempt of unknown outcome the provider's list is read for it the first time. Callbacks
        /// settle nearly all within seconds; this is beyond `request_timeout`, so that the text can be there.
        pub settle_first: Duration = Duration::from_secs(20),
        /// The second time. Later texts of the conversation wait for it for a minute of its attempt, whatever is set here.
        pub settle_second: Duration = Duration::from_secs(60),
        /// The last time. What is not found then is held for a person, or sent again by a line's choice; so never under
        /// 2m, before which the provider may still take it, or not list it yet.
        pub settle_last: Duration = Duration::from_secs(5 * 60),
        /// How often is looked for texts whose look is due.
        pub settle_poll: Duration = Duration::from_secs(1),
        /// Lists read at once in a process: few, since they share the account's concurrency with the sends.
        pub settle_concurrency: NonZeroU32 = const { NonZeroU32::new(8).unwrap() },
        /// How long a text is left to the process that reads the list for it: its pages at their slowest.
        pub settle_lease: Duration = Duration::from_secs(2 * 60),
        /// The pause after a list that could not be read, unless the provider asks for a longer one.
        pub settle_retry: Duration = Duration::from_secs(15),
        /// Messages a page of the list, up to 1,000. Twilio's own 50 cover what one person gets in minutes.
        pub settle_page: NonZeroU32 = const { NonZeroU32::new(50).unwrap() },
        /// Most pages read for one text. Where more would matter, the text counts as not settled.
        pub settle_pages: NonZeroU32 = const { NonZeroU32::new(10).unwrap() },
        /// How often a text may be sent again by itself, on a line that wants it. After a second silence a person looks.
        pub resends_most: NonZeroU32 = NonZeroU32::MIN,
    }
}

impl Sender {
    /// How long after an attempt began the provider's list is read for it: the first time, the second, the last.
    pub fn looks(&self) -> [Duration; 3] {
        [self.settle_first, self.settle_second, self.settle_last]
    }
}
