//! What every stream must do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use casewire_bus::{PublishError, Published, Stream, Unreadable, ack_all};
use casewire_testkit::eventually;

use crate::on_both;
use crate::rig::{Adapter, PATIENCE, Rig, Settings, event, event_of, fetch, fetch_now, id_of};

on_both!(
    an_event_arrives_as_it_was_sent,
    events_of_a_shard_arrive_in_their_order,
    a_second_publish_of_the_same_id_stores_nothing,
    an_id_is_accepted_again_once_its_window_is_over,
    an_id_is_known_after_a_crash_even_when_its_event_was_handled,
    what_was_answered_survives_a_crash,
    an_event_whose_acknowledgement_is_lost_comes_again,
    an_acknowledged_event_never_comes_again,
    an_event_put_off_does_not_hold_up_the_others,
    an_event_that_is_held_does_not_come_again_until_its_holder_is_silent,
    a_full_stream_refuses_and_loses_nothing,
    an_event_too_large_is_refused,
    consumers_of_a_shard_share_its_work,
    many_publishers_and_consumers_at_once_lose_and_double_nothing,
    bytes_that_are_no_event_are_delivered_with_the_reason,
    a_waiting_consumer_gets_an_event_at_once,
    a_fetch_with_nothing_to_do_ends_in_time,
    the_backlog_tells_what_is_to_do,
    a_shard_that_does_not_exist_is_refused,
);

fn stored(published: &Published) -> bool {
    !published.duplicate
}

async fn publish_all(stream: &dyn Stream, ids: &[String]) -> Result<()> {
    for id in ids {
        ensure!(stored(&stream.publish(&event(id), 0).await?), "{id} was there already");
    }
    Ok(())
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("i:AC1:SM{number:04}")).collect()
}

async fn an_event_arrives_as_it_was_sent(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let stream = rig.stream();
    let sent = event_of("i:AC1:SM1", 20_000);
    let published = stream.publish(&sent, 0).await?;
    ensure!(published.sequence > 0 && stored(&published));
    let mut deliveries = fetch(&mut *stream.consume(0).await?, 1).await?;
    let delivery = deliveries.remove(0);
    assert_eq!((delivery.shard, delivery.sequence, delivery.attempt), (0, published.sequence, 1));
    assert_eq!(delivery.event, Ok(sent));
    Ok(())
}

async fn events_of_a_shard_arrive_in_their_order(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings { shards: 2, ..Settings::default() }).await?;
    let stream = rig.stream();
    let ids = ids(200);
    for (number, id) in (0_u32..).zip(&ids) {
        stream.publish(&event(id), number % 2).await?;
    }
    for shard in 0..2 {
        let mut consumer = stream.consume(shard).await?;
        let mut arrived = Vec::new();
        while arrived.len() < 100 {
            let deliveries = fetch(&mut *consumer, 25).await?;
            arrived.extend(deliveries.iter().map(|delivery| (delivery.sequence, id_of(delivery))));
            ack_all(deliveries).await?;
        }
        let parity = usize::try_from(shard)?;
        let sent: Vec<_> = ids.iter().skip(parity).step_by(2).cloned().collect();
        assert_eq!(arrived.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>(), sent);
        ensure!(arrived.is_sorted_by(|(one, _), (next, _)| one < next));
    }
    Ok(())
}

async fn a_second_publish_of_the_same_id_stores_nothing(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let stream = rig.stream();
    let first = stream.publish(&event("i:AC1:SM1"), 0).await?;
    let second = stream.publish(&event("i:AC1:SM1"), 0).await?;
    assert_eq!(second, Published { sequence: first.sequence, duplicate: true });
    ensure!(stored(&stream.publish(&event("i:AC1:SM2"), 0).await?));
    let mut consumer = stream.consume(0).await?;
    let deliveries = fetch(&mut *consumer, 2).await?;
    assert_eq!(deliveries.iter().map(id_of).collect::<Vec<_>>(), ["i:AC1:SM1", "i:AC1:SM2"]);
    ensure!(fetch_now(&mut *consumer).await?.is_empty());
    Ok(())
}

async fn an_id_is_accepted_again_once_its_window_is_over(adapter: Adapter) -> Result<()> {
    let window = Duration::from_secs(1);
    let rig = Rig::start(adapter, Settings { duplicate_window: window, ..Settings::default() }).await?;
    let stream = rig.stream();
    let start = Instant::now();
    let first = stream.publish(&event("i:AC1:SM1"), 0).await?;
    eventually("the id is forgotten", PATIENCE, || async {
        stream.publish(&event("i:AC1:SM1"), 0).await.is_ok_and(|published| stored(&published))
    })
    .await?;
    ensure!(start.elapsed() >= window, "forgotten after {:?}", start.elapsed());
    let deliveries = fetch(&mut *stream.consume(0).await?, 2).await?;
    assert_eq!(deliveries[0].sequence, first.sequence);
    ensure!(deliveries[1].sequence > first.sequence);
    Ok(())
}

async fn an_id_is_known_after_a_crash_even_when_its_event_was_handled(adapter: Adapter) -> Result<()> {
    let mut rig = Rig::start(adapter, Settings::default()).await?;
    let first = rig.stream().publish(&event("i:AC1:SM1"), 0).await?;
    let deliveries = fetch(&mut *rig.stream().consume(0).await?, 1).await?;
    ack_all(deliveries).await?;
    rig.crash().await?;
    let again = rig.stream().publish(&event("i:AC1:SM1"), 0).await?;
    assert_eq!(again, Published { sequence: first.sequence, duplicate: true });
    Ok(())
}

async fn what_was_answered_survives_a_crash(adapter: Adapter) -> Result<()> {
    let mut rig = Rig::start(adapter, Settings::default()).await?;
    let ids = ids(50);
    publish_all(&*rig.stream(), &ids[..25]).await?;
    rig.crash().await?;
    publish_all(&*rig.stream(), &ids[25..]).await?;
    rig.crash().await?;
    let deliveries = fetch(&mut *rig.stream().consume(0).await?, 50).await?;
    assert_eq!(deliveries.iter().map(id_of).collect::<Vec<_>>(), ids);
    Ok(())
}

async fn an_event_whose_acknowledgement_is_lost_comes_again(adapter: Adapter) -> Result<()> {
    let ack_wait = Duration::from_secs(1);
    let rig = Rig::start(adapter, Settings { ack_wait, ..Settings::default() }).await?;
    let stream = rig.stream();
    stream.publish(&event("i:AC1:SM1"), 0).await?;
    let mut consumer = stream.consume(0).await?;
    let start = Instant::now();
    drop(fetch(&mut *consumer, 1).await?);
    ensure!(fetch_now(&mut *consumer).await?.is_empty(), "it came again at once");
    let mut again = fetch(&mut *consumer, 1).await?;
    ensure!(start.elapsed() >= ack_wait, "it came again after {:?}", start.elapsed());
    let delivery = again.remove(0);
    assert_eq!((id_of(&delivery).as_str(), delivery.attempt), ("i:AC1:SM1", 2));
    Ok(())
}

async fn an_acknowledged_event_never_comes_again(adapter: Adapter) -> Result<()> {
    let ack_wait = Duration::from_millis(500);
    let rig = Rig::start(adapter, Settings { ack_wait, ..Settings::default() }).await?;
    let stream = rig.stream();
    publish_all(&*stream, &ids(10)).await?;
    let mut consumer = stream.consume(0).await?;
    let mut deliveries = fetch(&mut *consumer, 10).await?;
    let kept = deliveries.split_off(9);
    ack_all(deliveries).await?;
    drop(kept);
    // When the one that was not acknowledged comes, the others would have come too.
    let again = fetch(&mut *consumer, 1).await?;
    assert_eq!(again.iter().map(id_of).collect::<Vec<_>>(), ["i:AC1:SM0009"]);
    ack_all(again).await?;
    ensure!(consumer.fetch(10, ack_wait * 2).await?.is_empty());
    Ok(())
}

async fn an_event_put_off_does_not_hold_up_the_others(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let stream = rig.stream();
    publish_all(&*stream, &ids(20)).await?;
    let mut consumer = stream.consume(0).await?;
    let wait = Duration::from_secs(3);
    let start = Instant::now();
    for delivery in fetch(&mut *consumer, 5).await? {
        delivery.retry(wait).await?;
    }
    let others = fetch(&mut *consumer, 15).await?;
    ensure!(start.elapsed() < wait, "the others waited {:?}", start.elapsed());
    assert_eq!(others.iter().map(id_of).collect::<Vec<_>>(), &ids(20)[5..]);
    ack_all(others).await?;
    let again = fetch(&mut *consumer, 5).await?;
    ensure!(start.elapsed() >= wait, "they came again after {:?}", start.elapsed());
    assert_eq!(again.iter().map(id_of).collect::<BTreeSet<_>>(), ids(5).into_iter().collect());
    ensure!(again.iter().all(|delivery| delivery.attempt == 2));
    Ok(())
}

async fn an_event_that_is_held_does_not_come_again_until_its_holder_is_silent(
    adapter: Adapter,
) -> Result<()> {
    let ack_wait = Duration::from_secs(1);
    let rig = Rig::start(adapter, Settings { ack_wait, ..Settings::default() }).await?;
    let stream = rig.stream();
    publish_all(&*stream, &ids(1)).await?;
    let held = fetch(&mut *stream.consume(0).await?, 1).await?.remove(0);
    let mut other = stream.consume(0).await?;
    let start = Instant::now();
    while start.elapsed() < ack_wait * 3 {
        held.hold().await?;
        ensure!(other.fetch(1, ack_wait / 4).await?.is_empty(), "it came after {:?}", start.elapsed());
    }
    let again = fetch(&mut *other, 1).await?.remove(0);
    assert_eq!((id_of(&again), again.attempt), (id_of(&held), 2));
    Ok(())
}

async fn a_full_stream_refuses_and_loses_nothing(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings { max_bytes: 50_000, ..Settings::default() }).await?;
    let stream = rig.stream();
    let mut accepted = ids(100);
    let mut refusal = None;
    for (number, id) in accepted.iter().enumerate() {
        if let Err(error) = stream.publish(&event_of(id, 1000), 0).await {
            refusal = Some((number, error));
            break;
        }
    }
    let (number, error) = refusal.context("100 events of 1000 bytes fitted into 50000")?;
    assert_eq!(error, PublishError::Full);
    accepted.truncate(number + 1);
    let refused = accepted.remove(number);
    ensure!(accepted.len() > 20, "only {} fitted", accepted.len());
    let known = stream.publish(&event_of(&accepted[0], 1000), 0).await?;
    ensure!(known.duplicate, "what is stored already is no matter of room");

    let deliveries = fetch(&mut *stream.consume(0).await?, accepted.len()).await?;
    assert_eq!(deliveries.iter().map(id_of).collect::<Vec<_>>(), accepted);
    ack_all(deliveries).await?;
    rig.make_room().await?;
    eventually("the refused event is stored, as new", PATIENCE, || async {
        stream.publish(&event_of(&refused, 1000), 0).await.is_ok_and(|published| stored(&published))
    })
    .await?;
    let deliveries = fetch(&mut *stream.consume(0).await?, 1).await?;
    assert_eq!(deliveries.iter().map(id_of).collect::<Vec<_>>(), [refused]);
    Ok(())
}

async fn an_event_too_large_is_refused(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let refused = rig.stream().publish(&event_of("i:AC1:SM1", 300_000), 0).await;
    ensure!(matches!(refused, Err(PublishError::Rejected(_))), "{refused:?}");
    ensure!(stored(&rig.stream().publish(&event_of("i:AC1:SM1", 200_000), 0).await?));
    Ok(())
}

async fn consumers_of_a_shard_share_its_work(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let stream = rig.stream();
    publish_all(&*stream, &ids(40)).await?;
    let mut seen = BTreeSet::new();
    let mut in_hand = Vec::new();
    for _ in 0..4 {
        let deliveries = fetch(&mut *stream.consume(0).await?, 10).await?;
        assert_eq!(deliveries.len(), 10, "a consumer takes no more than it asked for");
        seen.extend(deliveries.iter().map(id_of));
        in_hand.extend(deliveries);
    }
    assert_eq!(seen, ids(40).into_iter().collect());
    ensure!(fetch_now(&mut *stream.consume(0).await?).await?.is_empty());
    Ok(ack_all(in_hand).await?)
}

async fn many_publishers_and_consumers_at_once_lose_and_double_nothing(adapter: Adapter) -> Result<()> {
    const EACH: usize = 100;
    let rig = Rig::start(adapter, Settings { shards: 2, ..Settings::default() }).await?;
    let mut publishers = Vec::new();
    for publisher in 0_u32..8 {
        let stream = rig.stream();
        publishers.push(tokio::spawn(async move {
            for number in 0..EACH {
                // Everything twice, as providers do.
                let event = event(&format!("i:AC{publisher}:SM{number}"));
                let (one, two) = tokio::join!(
                    stream.publish(&event, publisher % 2),
                    stream.publish(&event, publisher % 2)
                );
                ensure!(one?.duplicate != two?.duplicate, "exactly one of two is the first");
            }
            Ok(())
        }));
    }
    let mut consumers = Vec::new();
    for consumer in 0_u32..4 {
        consumers.push(tokio::spawn(take_all(rig.stream(), consumer % 2)));
    }
    for publisher in publishers {
        publisher.await??;
    }
    let mut seen = Vec::new();
    for consumer in consumers {
        seen.extend(consumer.await??);
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (8 * EACH, 8 * EACH));
    Ok(())
}

/// Works until nothing has come for two seconds.
async fn take_all(stream: Arc<dyn Stream>, shard: u32) -> Result<Vec<String>> {
    let mut consumer = stream.consume(shard).await?;
    let mut seen = Vec::new();
    loop {
        let deliveries = consumer.fetch(7, Duration::from_secs(2)).await?;
        if deliveries.is_empty() {
            return Ok(seen);
        }
        seen.extend(deliveries.iter().map(id_of));
        ack_all(deliveries).await?;
    }
}

async fn bytes_that_are_no_event_are_delivered_with_the_reason(adapter: Adapter) -> Result<()> {
    let mut rig = Rig::start(adapter, Settings::default()).await?;
    rig.store_garbage(b"\xff\xff no event", "i:AC1:SM1").await?;
    let stream = rig.stream();
    stream.publish(&event("i:AC1:SM2"), 0).await?;
    let mut deliveries = fetch(&mut *stream.consume(0).await?, 2).await?;
    assert_eq!(id_of(&deliveries[1]), "i:AC1:SM2");
    let undecodable = deliveries.remove(0).event.expect_err("no event");
    assert_eq!(undecodable.payload, b"\xff\xff no event");
    assert_eq!(undecodable.dedupe_id.map(|id| id.to_string()).as_deref(), Some("i:AC1:SM1"));
    assert_eq!(undecodable.reason, Unreadable::NotAnEvent);
    Ok(())
}

async fn a_waiting_consumer_gets_an_event_at_once(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let stream = rig.stream();
    let (mut waiting, mut other) = (stream.consume(0).await?, stream.consume(0).await?);
    let publish = async {
        // A whole fetch that began after the other one: by its end that one waits.
        ensure!(fetch_now(&mut *other).await?.is_empty());
        stream.publish(&event("i:AC1:SM1"), 0).await?;
        Ok(Instant::now())
    };
    let (deliveries, published) = tokio::join!(waiting.fetch(100, PATIENCE), publish);
    assert_eq!(deliveries?.len(), 1);
    let took = published?.elapsed();
    ensure!(took < Duration::from_secs(1), "it took {took:?}");
    Ok(())
}

async fn a_fetch_with_nothing_to_do_ends_in_time(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let wait = Duration::from_millis(300);
    let start = Instant::now();
    ensure!(rig.stream().consume(0).await?.fetch(10, wait).await?.is_empty());
    ensure!(start.elapsed() >= wait && start.elapsed() < wait + Duration::from_secs(2));
    Ok(())
}

async fn the_backlog_tells_what_is_to_do(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings { shards: 2, ..Settings::default() }).await?;
    let stream = rig.stream();
    publish_all(&*stream, &ids(10)).await?;
    let mut deliveries = fetch(&mut *stream.consume(0).await?, 4).await?;
    ack_all(deliveries.split_off(3)).await?;
    eventually("one is done, three are in work, six are waiting", PATIENCE, || async {
        let backlog = stream.backlog().await.unwrap_or_default();
        backlog.len() == 2 && (backlog[0].pending, backlog[0].ack_pending) == (6, 3)
    })
    .await?;
    let backlog = stream.backlog().await?;
    let age = chrono::Utc::now() - backlog[0].oldest_at.expect("the oldest is there");
    ensure!(age.num_seconds().abs() < 30, "the oldest is {age} old");
    ensure!(backlog[0].messages >= 9 && backlog[0].bytes > 9 * 200);
    assert_eq!((backlog[0].redelivered, backlog[0].limit_bytes), (0, Settings::default().max_bytes));
    assert_eq!((backlog[1].shard, backlog[1].messages, backlog[1].oldest_at), (1, 0, None));
    Ok(())
}

async fn a_shard_that_does_not_exist_is_refused(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let refused = rig.stream().publish(&event("i:AC1:SM1"), 1).await;
    ensure!(matches!(refused, Err(PublishError::Rejected(_))), "{refused:?}");
    ensure!(rig.stream().consume(1).await.is_err());
    Ok(())
}
