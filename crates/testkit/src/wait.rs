//! Waiting for a condition, with a deadline: never a bare sleep.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

/// How often a condition is asked: often enough that a test loses no time, seldom enough to cost none.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// What one look may take although the deadline passes meanwhile: as long as a request of [`crate::http::client`].
const LOOK: Duration = Duration::from_secs(10);

/// Asks `condition` until it is true; fails with `what` in the message once `deadline` has passed.
pub async fn eventually<F, Fut>(what: &str, deadline: Duration, mut condition: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    eventually_some(what, deadline, || {
        let asked = condition();
        async { asked.await.then_some(()) }
    })
    .await
}

/// Like [`eventually`], and hands back what the probe found.
pub async fn eventually_some<T, F, Fut>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        let left = deadline.saturating_sub(start.elapsed()).max(LOOK);
        let Ok(found) = tokio::time::timeout(left, probe()).await else {
            bail!("a look took longer than {left:?}, waiting until: {what}");
        };
        if let Some(found) = found {
            return Ok(found);
        }
        if start.elapsed() >= deadline {
            bail!("waited {deadline:?} in vain until: {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_is_waited_for() {
        let mut asked = 0;
        let found = eventually_some("third time", Duration::from_secs(5), || {
            asked += 1;
            let answer = (asked == 3).then_some(asked);
            async move { answer }
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_condition_that_never_comes_true_is_named() {
        let error = eventually("pigs fly", Duration::from_millis(30), || async { false }).await.unwrap_err();
        assert!(error.to_string().contains("pigs fly"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_named_too() {
        let hanging = std::future::pending;
        let error = eventually("pigs fly", Duration::from_secs(30), hanging).await.unwrap_err();
        assert!(error.to_string().contains("longer than 30s, waiting until: pigs fly"), "{error}");
    }
}
