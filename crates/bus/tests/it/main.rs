//! The conformance suite: what every adapter of the stream must do, told once and run on each; then what is
//! particular to one. `CASEWIRE_TEST_NATS_SERVER` names another nats-server than the machine's.

#![expect(clippy::expect_used, clippy::panic, reason = "tests fail loudly, in what they share too")]

mod acknowledgements;
mod blackhole;
mod directory;
mod embedded;
mod exhausted;
mod history;
mod jetstream;
mod migrate;
mod operator;
mod permissions;
mod rig;
mod several;
mod stories;

/// Makes of every story one test for each adapter, in modules named after them.
macro_rules! on_both {
    ($($story:ident),* $(,)?) => {
        on_both!(@on on_the_embedded_stream, Embedded, $($story)*);
        on_both!(@on on_jetstream, JetStream, $($story)*);
    };
    (@on $module:ident, $adapter:ident, $($story:ident)*) => {
        mod $module {
            use crate::rig::Adapter;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $story() -> anyhow::Result<()> {
                    super::$story(Adapter::$adapter).await
                }
            )*
        }
    };
}
pub(crate) use on_both;
