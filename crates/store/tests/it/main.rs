//! Stories of the store, each told on SQLite and on PostgreSQL.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail loudly")]

mod batches;
mod bench;
mod cases;
mod desk;
mod outages;
mod plans;
mod races;
mod restoring;
mod sending;
mod settling;
mod standing;
mod sweeping;
mod texts;

/// Tells one story on each database.
macro_rules! on_both {
    ($($(#[$doc:meta])* $story:ident)*) => {$(
        mod $story {
            #[tokio::test]
            async fn on_sqlite() {
                let bench = crate::bench::Bench::sqlite().await;
                super::story::$story(bench).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let bench = crate::bench::Bench::postgres().await;
                super::story::$story(bench).await;
            }
        }
    )*};
}
pub(crate) use on_both;
