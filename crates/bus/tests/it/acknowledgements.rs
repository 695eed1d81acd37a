//! What an acknowledgement is believed to be about, though it names no event.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use async_nats::Subject;
use casewire_bus::{JetStream, PublishError, Published, Stream};
use casewire_testkit::NatsServer;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::jetstream::tools;
use crate::rig::{Adapter, PATIENCE, Rig, Settings, event};

const FIRST: &str = r#"{"stream":"IN_0","seq":1}"#;
const SECOND: &str = r#"{"stream":"IN_0","seq":2}"#;

/// A server with somebody instead of a stream, who gives these answers in turn, and tells where each went.
async fn lead(
    answers: Vec<&'static str>,
) -> Result<(NatsServer, JetStream, JoinHandle<Result<Vec<Subject>>>)> {
    let server = NatsServer::start().await?;
    let stream = JetStream::connect(Settings::default().jetstream(server.url())).await?;
    ensure!(stream.wait_connected(PATIENCE).await);
    let leader = async_nats::connect(server.url()).await?;
    let mut asked = leader.subscribe("in.0.message").await?;
    leader.flush().await?;
    let leading = tokio::spawn(async move {
        let mut subjects = Vec::new();
        for answer in answers {
            let reply = asked.next().await.and_then(|asked| asked.reply).context("a question")?;
            leader.publish(reply.clone(), answer.into()).await?;
            leader.flush().await?;
            subjects.push(reply);
        }
        Ok(subjects)
    });
    Ok((server, stream, leading))
}

async fn publish(stream: &JetStream, id: &str) -> Result<Published, PublishError> {
    Stream::publish(stream, &event(id), 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_serves_the_next_event_once_one_was_stored() -> Result<()> {
    let (_server, stream, leading) = lead(vec![FIRST, SECOND]).await?;
    assert_eq!(publish(&stream, "i:AC1:SM1").await?.sequence, 1);
    assert_eq!(publish(&stream, "i:AC1:SM2").await?.sequence, 2);
    let subjects = timeout(PATIENCE, leading).await???;
    assert_eq!(subjects[0], subjects[1]);
    Ok(())
}

/// A stream with replicas can answer for an event twice, when its leader changes at the wrong moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_for_an_event_is_not_taken_for_the_next_events() -> Result<()> {
    for second in [
        FIRST,
        r#"{"stream":"IN_0","seq":1,"duplicate":true}"#,
        r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"IN_0","seq":0}"#,
        r#"{"stream":"OTHER","seq":9}"#,
        "{}",
    ] {
        let answers = vec![FIRST, second, r#"{"stream":"IN_0","seq":2,"duplicate":true}"#];
        let (_server, stream, leading) = lead(answers).await?;
        assert_eq!(publish(&stream, "i:AC1:SM1").await?.sequence, 1);
        assert_eq!(publish(&stream, "i:AC1:SM2").await?.sequence, 2, "{second}");
        let subjects = timeout(PATIENCE, leading).await???;
        assert_ne!(subjects[1], subjects[2], "what is in doubt is asked on a new subject");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_on_which_somebody_else_answered_is_not_used_again() -> Result<()> {
    for other in [r#"{"stream":"OTHER","seq":9}"#, "{}"] {
        let (_server, stream, leading) = lead(vec![other, FIRST]).await?;
        let refused = publish(&stream, "i:AC1:SM1").await;
        ensure!(matches!(refused, Err(PublishError::Rejected(_))), "{refused:?}");
        assert_eq!(publish(&stream, "i:AC1:SM2").await?.sequence, 1);
        let subjects = timeout(PATIENCE, leading).await???;
        assert_ne!(subjects[0], subjects[1], "the stream may still answer there");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_late_is_not_taken_for_another_events() -> Result<()> {
    let publish_all = async |stream: Arc<dyn Stream>, name: &str| {
        let ids = (0..20).map(|number| format!("i:AC1:{name}{number}"));
        let publishes = ids.map(|id| {
            let stream = stream.clone();
            async move { (stream.publish(&event(&id), 0).await, id) }
        });
        join_all(publishes).await
    };
    let rig = Rig::start(Adapter::JetStream, Settings::default()).await?;
    let stored = tools(rig.server()?).await?.get_stream("IN_0").await?;
    for (answer, _) in publish_all(rig.stream(), "before").await {
        answer?;
    }
    rig.server()?.pause().await?;
    for (answer, _) in publish_all(rig.stream(), "late").await {
        assert_eq!(answer, Err(PublishError::Timeout));
    }
    rig.server()?.resume()?;
    for (answer, id) in publish_all(rig.stream(), "after").await {
        let message = stored.get_raw_message(answer?.sequence).await?;
        let found = message.headers.get("Nats-Msg-Id").context("an id")?;
        assert_eq!(found.as_str(), id, "it is where the answer says");
    }
    Ok(())
}
