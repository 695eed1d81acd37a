//! A rush of webhooks: whoever sent one is answered first, and cases are made of them a moment later, since both want the
//! same cores and the same disk.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::EmbeddedConfig;

/// Notices a rush.
#[derive(Debug)]
pub(super) struct Gauge {
    /// So many events stored within so long a time are one, and it lasts as long again.
    many: usize,
    within: Duration,
    since: Instant,
    /// Events stored since then.
    stored: usize,
    until: watch::Sender<Instant>,
}

impl Gauge {
    pub(super) fn of(config: &EmbeddedConfig) -> Self {
        let now = Instant::now();
        let (many, within) = (config.rush, config.rush_within);
        Self { many, within, since: now, stored: 0, until: watch::Sender::new(now) }
    }

    pub(super) fn rush(&self) -> Rush {
        Rush(self.until.subscribe())
    }

    /// So many events were just stored.
    pub(super) fn stored(&mut self, events: usize) {
        let now = Instant::now();
        if now >= self.since + self.within {
            // These came before the time that begins with them.
            (self.since, self.stored) = (now, 0);
            return;
        }
        self.stored = self.stored.saturating_add(events);
        if self.stored >= self.many {
            (self.since, self.stored) = (now, 0);
            self.until.send_replace(now + self.within);
        }
    }
}

/// When the last rush is over.
#[derive(Clone, Debug)]
pub(super) struct Rush(watch::Receiver<Instant>);

impl Rush {
    /// Waits until it is, and no longer than `most`.
    pub(super) async fn over(&self, most: Duration) {
        let start = Instant::now();
        loop {
            let until = (*self.0.borrow()).min(start + most);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MOST: Duration = Duration::from_millis(250);
    const WITHIN: Duration = Duration::from_millis(50);

    fn gauge(rush_within: Duration) -> Gauge {
        Gauge::of(&EmbeddedConfig { rush: 100, rush_within, ..EmbeddedConfig::default() })
    }

    async fn waited(rush: &Rush) -> Duration {
        let start = Instant::now();
        rush.over(MOST).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn many_events_at_once_are_waited_out_and_a_few_are_not() {
        let mut gauge = gauge(WITHIN);
        let rush = gauge.rush();
        assert_eq!(waited(&rush).await, Duration::ZERO, "nothing came");
        gauge.stored(60);
        assert_eq!(waited(&rush).await, Duration::ZERO, "a few are no rush");
        advance(WITHIN).await;
        gauge.stored(60);
        gauge.stored(60);
        assert_eq!(waited(&rush).await, Duration::ZERO, "nor are as many again, later");
        gauge.stored(60);
        assert_eq!(waited(&rush).await.as_millis(), WITHIN.as_millis());
        assert_eq!(waited(&rush).await, Duration::ZERO, "it is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rush_that_lasts_is_not_waited_out() {
        let mut gauge = gauge(10 * MOST);
        let rush = gauge.rush();
        gauge.stored(100);
        assert_eq!(waited(&rush).await.as_millis(), MOST.as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rush_that_goes_on_meanwhile_is_waited_out_to_its_end() {
        let mut gauge = gauge(WITHIN);
        let rush = gauge.rush();
        gauge.stored(100);
        let goes_on = async {
            advance(WITHIN / 2).await;
            gauge.stored(100);
        };
        let (waited, ()) = tokio::join!(waited(&rush), goes_on);
        assert_eq!(waited.as_millis(), (WITHIN / 2 + WITHIN).as_millis());
    }
}
