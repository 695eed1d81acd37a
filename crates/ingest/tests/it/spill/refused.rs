//! What the stream refuses for its own sake.

use anyhow::Result;
use casewire_testkit::eventually;

use super::{events_of_all, front, settings, sum, take};
use crate::fickle::{Fickle, Mood};
use crate::front::{SOON, events};

#[tokio::test]
async fn what_the_stream_refuses_for_its_own_sake_stays_and_lets_the_others_pass() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Picky("0"));
    take(&front, 0..1).await?;
    take(&front, 1..6).await?;
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    eventually("it was tried", SOON, async || sum(&front, "casewire_spill_put_off_total").ok() == Some(1))
        .await?;
    stream.all(Mood::Away);
    take(&front, 6..10).await?;
    stream.all(Mood::Picky("0"));
    events_of_all(&front, 4).await?;
    assert_eq!(events(stream.as_ref()).await?.len(), 9);
    eventually("it is still there", SOON, async || {
        front.metric("casewire_spill_events").is_ok_and(|is| is == "1")
    })
    .await?;
    Ok(())
}
