//! STOP, START and HELP.

use casewire_simulator::{HandsetDraft, Line, Origin};
use serde_json::json;

use crate::receiver::{Receiver, tell, twiml};
use crate::stand::{LINE, PERSON, Stand, TOKEN, account, number, quick};

#[tokio::test]
async fn stop_is_answered_once_reaches_the_webhook_and_blocks_until_start() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/")).await;
    let form = [("From", LINE), ("To", PERSON), ("Body", "news")];
    stand.send(&form).await;
    stand.idle().await;
    assert_eq!(stand.text("Stop").await.keyword, Some("stop"));
    stand.text("STOPALL").await;
    let inbox = stand.simulator.inbox(&number(PERSON));
    assert_eq!(inbox.iter().map(|text| text.origin).collect::<Vec<_>>(), [Origin::Api, Origin::Keyword]);
    assert_eq!(receiver.received().len(), 2, "both reach the webhook");
    let (status, body) = stand.refused(&form).await;
    assert_eq!((status, &body["code"]), (400, &json!(21_610)));
    let other_line = [("From", "+15550000002"), ("To", PERSON), ("Body", "news")];
    stand.send(&other_line).await;
    assert_eq!(stand.text("unstop").await.keyword, Some("start"));
    stand.send(&form).await;
    stand.idle().await;
    let answers = stand.simulator.inbox(&number(PERSON));
    assert_eq!(answers.iter().filter(|text| text.origin == Origin::Keyword).count(), 2);
}

#[tokio::test]
async fn a_longer_text_is_no_keyword() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/")).await;
    assert_eq!(stand.text("STOP PLEASE").await.keyword, None);
    assert_eq!(stand.inbox(PERSON), [""; 0]);
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "x")]).await;
}

#[tokio::test]
async fn an_opt_out_from_a_service_covers_all_its_numbers_and_fails_later_with_advanced_opt_out() {
    let receiver = Receiver::start(|_, request| match request.get("MessageStatus").as_str() {
        "(absent)" => twiml(),
        _ => tell(204),
    });
    let stand = Stand::start(quick());
    stand.ready().await;
    for line in [LINE, "+15550000002"] {
        let mut line = Line::new(number(line), account(), receiver.url("/"));
        line.messaging_service_sid = Some("MG00000000000000000000000000000001".to_owned());
        line.advanced_opt_out = true;
        stand.simulator.set_line(Line { auth_token: Some(TOKEN.into()), ..line });
    }
    stand.simulator.send_text(HandsetDraft::new(number(PERSON), number(LINE), "REVOKE")).await.unwrap();
    assert_eq!(receiver.received()[0].get("OptOutType"), "STOP");
    let callback = receiver.url("/status");
    let form =
        [("From", "+15550000002"), ("To", PERSON), ("Body", "news"), ("StatusCallback", callback.as_str())];
    stand.send(&form).await;
    stand.idle().await;
    let failed = &receiver.received()[1];
    assert_eq!([failed.get("MessageStatus"), failed.get("ErrorCode")], ["failed", "21610"]);
}
