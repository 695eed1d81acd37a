//! What a stream keeps of events that were acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use casewire_bus::history::{Start, Stored};
use casewire_bus::{ConsumeError, History, Stream, ack_all};
use casewire_testkit::eventually;
use chrono::{TimeDelta, Utc};
use futures_util::StreamExt;

use crate::on_both;
use crate::rig::{Adapter, PATIENCE, Rig, Settings, event, event_of, fetch, id_of};

on_both!(an_acknowledged_event_is_gone_unless_the_stream_has_a_history_of_it);

async fn publish(stream: &dyn Stream, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        stream.publish(&event(&id(number)), 0).await?;
    }
    Ok(())
}

fn id(number: usize) -> String {
    format!("i:AC1:SM{number:04}")
}

fn ids(events: &[Stored]) -> Vec<String> {
    let id = |stored: &Stored| match &stored.event {
        Ok(event) => event.dedupe_id.to_string(),
        Err(bytes) => format!("{:?}", bytes.dedupe_id),
    };
    events.iter().map(id).collect()
}

fn history(stream: &dyn Stream) -> Result<&dyn History> {
    stream.history().context("JetStream keeps events")
}

async fn an_acknowledged_event_is_gone_unless_the_stream_has_a_history_of_it(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let stream = rig.stream();
    publish(&*stream, 0..5).await?;
    let mut deliveries = fetch(&mut *stream.consume(0).await?, 5).await?;
    let kept = deliveries.split_off(4);
    ack_all(deliveries).await?;
    match stream.history() {
        None => {
            eventually("four of five are gone", PATIENCE, || async {
                stream.backlog().await.is_ok_and(|backlog| backlog[0].messages == 1)
            })
            .await?;
            drop(kept);
        }
        Some(history) => {
            let events = history.read(0, Start::At(1), 100).await?;
            assert_eq!(ids(&events), (0..5).map(id).collect::<Vec<_>>());
            assert_eq!(events[0].event, Ok(event(&id(0))));
        }
    }
    Ok(())
}

async fn start(settings: Settings) -> Result<Rig> {
    Rig::start(Adapter::JetStream, settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_read_in_pages_from_any_place_and_from_any_time() -> Result<()> {
    let rig = start(Settings::default()).await?;
    let stream = rig.stream();
    let history = history(&*stream)?;
    ensure!(history.read(0, Start::At(1), 10).await?.is_empty(), "there is nothing yet");
    publish(&*stream, 0..25).await?;
    // The server's clock is this machine's.
    let between = Utc::now();
    publish(&*stream, 25..30).await?;
    let mut read = Vec::new();
    while let page = history.read(0, Start::At(read.len() as u64 + 1), 7).await?
        && !page.is_empty()
    {
        ensure!(page.len() <= 7);
        read.extend(page);
    }
    assert_eq!(ids(&read), (0..30).map(id).collect::<Vec<_>>());
    ensure!(read.is_sorted_by(|one, next| one.sequence < next.sequence && one.stored_at <= next.stored_at));
    ensure!((Utc::now() - read[0].stored_at).num_seconds() < 60);
    assert_eq!(history.read(0, Start::Since(between), 1).await?[0].sequence, 26);
    let tomorrow = Utc::now() + TimeDelta::days(1);
    ensure!(history.read(0, Start::Since(tomorrow), 1).await?.is_empty());
    assert_eq!(history.read(0, Start::At(30), 7).await?.len(), 1);
    ensure!(history.read(0, Start::At(31), 7).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_takes_nothing_from_a_consumer_and_leaves_none_behind() -> Result<()> {
    let rig = start(Settings::default()).await?;
    let stream = rig.stream();
    publish(&*stream, 0..3).await?;
    assert_eq!(history(&*stream)?.read(0, Start::At(1), 10).await?.len(), 3);
    let deliveries = fetch(&mut *stream.consume(0).await?, 3).await?;
    ensure!(deliveries.iter().all(|delivery| delivery.attempt == 1));
    let client = async_nats::connect(rig.server()?.url()).await?;
    let mut there = async_nats::jetstream::new(client).get_stream("IN_0").await?;
    assert_eq!(there.info().await?.state.consumer_count, 1, "the workers' own alone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_passed_over_is_in_the_history_still() -> Result<()> {
    let rig = start(Settings::default()).await?;
    let stream = rig.stream();
    publish(&*stream, 0..10).await?;
    ack_all(fetch(&mut *stream.consume(0).await?, 10).await?).await?;
    settled(&*stream, 10).await?;
    let state = history(&*stream)?.state(0).await?;
    assert_eq!((state.settled_through, state.delivered_through, state.last_sequence), (10, 10, 10));
    assert_eq!(history(&*stream)?.read(0, Start::At(1), 10).await?.len(), 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_makes_room_keeps_what_follows_and_forgets_no_id() -> Result<()> {
    let rig = start(Settings { max_bytes: 20_000, ..Settings::default() }).await?;
    let stream = rig.stream();
    let mut last = 0;
    while let Ok(published) = stream.publish(&event_of(&id(last), 1000), 0).await {
        ensure!(published.sequence == last as u64 + 1);
        last += 1;
    }
    ensure!((5..20).contains(&last), "{last} fitted");
    assert_eq!(history(&*stream)?.purge(0, 4).await?, 4);
    let kept = history(&*stream)?.read(0, Start::At(1), 100).await?;
    assert_eq!(ids(&kept), (4..last).map(id).collect::<Vec<_>>());
    ensure!(stream.publish(&event_of(&id(0), 1000), 0).await?.duplicate, "its id is known still");
    let next = stream.publish(&event_of(&id(last), 1000), 0).await?;
    assert_eq!((next.sequence, next.duplicate), (last as u64 + 1, false));
    // Nothing is left, and places go on.
    history(&*stream)?.purge(0, next.sequence).await?;
    assert_eq!(stream.publish(&event(&id(99)), 0).await?.sequence, next.sequence + 1);
    assert_eq!(history(&*stream)?.purge(0, 0).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_on_behind_a_purge_of_what_it_has_settled() -> Result<()> {
    let mut rig = start(Settings::default()).await?;
    let stream = rig.stream();
    publish(&*stream, 0..20).await?;
    let mut consumer = stream.consume(0).await?;
    // Five are done, five in hand, ten not handed out yet.
    ack_all(fetch(&mut *consumer, 5).await?).await?;
    let in_hand = fetch(&mut *consumer, 5).await?;
    settled(&*stream, 5).await?;
    assert_eq!(history(&*stream)?.purge(0, 5).await?, 5);
    ack_all(in_hand).await?;
    settled(&*stream, 10).await?;
    assert_eq!(history(&*stream)?.purge(0, 10).await?, 5);
    let next = fetch(&mut *consumer, 10).await?;
    assert_eq!(next.iter().map(id_of).collect::<Vec<_>>(), (10..20).map(id).collect::<Vec<_>>());
    ack_all(next).await?;
    settled(&*stream, 20).await?;
    assert_eq!(history(&*stream)?.purge(0, 20).await?, 10);
    for round in 0..2 {
        let backlog = stream.backlog().await?;
        assert_eq!((backlog[0].pending, backlog[0].ack_pending, backlog[0].oldest_at), (0, 0, None));
        let new = id(100 + round);
        stream.publish(&event(&new), 0).await?;
        let deliveries = fetch(&mut *consumer, 1).await?;
        assert_eq!(id_of(&deliveries[0]), new);
        ack_all(deliveries).await?;
        settled(&*stream, 21 + round as u64).await?;
        // What the server knows of an emptied stream is on its disk, too, after its idle moment.
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.crash().await?;
    }
    Ok(())
}

/// Waits until the consumer owes nothing up to there.
async fn settled(stream: &dyn Stream, through: u64) -> Result<()> {
    eventually("the consumer has settled so much", PATIENCE, || async {
        let Ok(history) = history(stream) else { return false };
        history.state(0).await.is_ok_and(|state| state.settled_through == through)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_again_is_another_one() -> Result<()> {
    let mut rig = start(Settings::default()).await?;
    let stream = rig.stream();
    publish(&*stream, 0..3).await?;
    let first = history(&*stream)?.state(0).await?;
    rig.crash().await?;
    assert_eq!(history(&*stream)?.state(0).await?.incarnation, first.incarnation, "a restart is none");
    let server = rig.server()?;
    server.wipe()?;
    server.restart().await?;
    eventually("the connections stand again", PATIENCE, || async { stream.connected() }).await?;
    assert_eq!(history(&*stream)?.state(0).await.err(), Some(ConsumeError::Missing));
    assert_eq!(history(&*stream)?.read(0, Start::At(1), 1).await.err(), Some(ConsumeError::Missing));
    assert_eq!(history(&*stream)?.purge(0, 1).await.err(), Some(ConsumeError::Missing));
    stream.prepare().await?;
    let second = history(&*stream)?.state(0).await?;
    assert_eq!((&second.incarnation.stream, second.last_sequence), (&first.incarnation.stream, 0));
    ensure!(second.incarnation.created_at > first.incarnation.created_at);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_read_quickly() -> Result<()> {
    const EVENTS: usize = 5_000;
    let rig = start(Settings::default()).await?;
    let stream = rig.stream();
    let publishes =
        (0..EVENTS).map(async |number| stream.publish(&event_of(&id(number), 700), 0).await.is_ok());
    let published = futures_util::stream::iter(publishes).buffer_unordered(64).collect::<Vec<_>>().await;
    ensure!(published.iter().all(|stored| *stored));
    let begun = Instant::now();
    let mut read = 0;
    while let page = history(&*stream)?.read(0, Start::At(read as u64 + 1), 1000).await?
        && !page.is_empty()
    {
        read += page.len();
    }
    let took = begun.elapsed();
    assert_eq!(read, EVENTS);
    ensure!(took < Duration::from_secs(5), "{EVENTS} events were read in {took:?}");
    Ok(())
}
