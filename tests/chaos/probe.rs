//! Whether texts flow again, from webhook to acknowledgement: what a recovery is timed by.

use std::time::{Duration, Instant};

use crate::books::Kind;
use crate::kit::{message_sid, person};
use crate::stage::Stage;

/// A drain that took place while texts went on coming.
pub(crate) struct Drain {
    /// Most events that waited.
    pub(crate) waited: u64,
    /// How long until they became fewer.
    pub(crate) resumed: Duration,
    /// How long from then until hardly any waited.
    pub(crate) took: Duration,
}

impl Drain {
    /// How much faster events were handled than they came.
    pub(crate) fn factor(&self, rate: f64) -> f64 {
        (self.waited as f64 / self.took.as_secs_f64().max(0.001) + rate) / rate
    }
}

/// How often somebody new asks.
const PAUSE: Duration = Duration::from_millis(500);
/// Probes come from people of an index from here on.
const FIRST: u64 = 6_000_000;

impl Stage {
    /// Watches the stream's backlog until it is no more than what comes in half a second at this rate.
    pub(crate) async fn drain(&self, rate: f64, within: Duration) -> Drain {
        let (start, mut most) = (Instant::now(), (0, Instant::now()));
        loop {
            assert!(start.elapsed() < within, "after {within:?} the stream still has work");
            match self.backlog().await {
                Some(waiting) if most.0 > 0 && waiting as f64 <= rate / 2.0 => break,
                Some(waiting) if waiting >= most.0 => most = (waiting, Instant::now()),
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Drain { waited: most.0, resumed: most.1 - start, took: most.1.elapsed() }
    }

    /// Whether a text is taken again within this time.
    pub(crate) async fn comes_back(&self, within: Duration) -> bool {
        let taken = self.books.taken();
        let more = async || self.books.taken() > taken + 5;
        casewire_testkit::eventually("texts are taken again", within, more).await.is_ok()
    }

    /// Texts as somebody new twice a second, until one of them has got an acknowledgement at the provider; how long that
    /// took. (One of them may have met the end of the fault, so that its own is held for a person.)
    pub(crate) async fn flows_again(&self, within: Duration) -> Duration {
        let flowed = self.flows(within).await;
        assert!(flowed.is_some(), "after {within:?} texts do not flow again");
        flowed.unwrap()
    }

    /// The same; nothing when they did not within this time.
    pub(crate) async fn flows(&self, within: Duration) -> Option<Duration> {
        let start = Instant::now();
        let mut asked = Vec::new();
        loop {
            let sends = self.sends();
            if sends.iter().any(|sent| asked.contains(&sent.to)) {
                return Some(start.elapsed());
            }
            if start.elapsed() >= within {
                return None;
            }
            let sender = FIRST + u64::from(self.books.sizes().1 as u32) % 900_000;
            let (sid, sent) = (message_sid(), Instant::now());
            let from = person(sender);
            let asking = self.hook.text(&sid, &from, "are you there again?");
            let answer = tokio::time::timeout(Duration::from_secs(5), asking);
            let status = answer.await.ok().and_then(Result::ok).map_or(0, |answer| answer.status().as_u16());
            self.books.write(&sid, Kind::Text, sender, sent, status);
            asked.push(from);
            tokio::time::sleep(PAUSE.saturating_sub(sent.elapsed())).await;
        }
    }
}
