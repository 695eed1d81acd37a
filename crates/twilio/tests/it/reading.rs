//! Reading messages back, page by page.

use casewire_domain::{Address, DeliveryStatus};
use casewire_twilio::parameters::Parameters;
use casewire_twilio::rest::{Direction, List, ReadError, Trouble};
use chrono::{DateTime, Utc};

use crate::provider::{ACCOUNT, Act, Provider, SID, credentials};

const INBOUND: &str = "MM0123456789abcdef0123456789abcdef";

/// A page in Twilio's shape, of one message of ours and one of a customer's.
fn page(next: &str) -> String {
    format!(
        r#"{{"end":1,"first_page_uri":"x","next_page_uri":{next},"page":0,"page_size":2,"messages":[
        {{"account_sid":"{ACCOUNT}","api_version":"2010-04-01","body":"hello 🔥","date_created":"Fri, 20 Nov 2026 10:00:00 +0000",
          "date_sent":null,"date_updated":null,"direction":"outbound-api","error_code":null,"from":null,
          "messaging_service_sid":"MG0123456789abcdef0123456789abcdef","num_media":"0","num_segments":"0","price":null,
          "sid":"{SID}","status":"accepted","to":"+12065550100","uri":"x","subresource_uris":{{"media":"x"}},"new":1}},
        {{"body":"look","date_created":"Fri, 20 Nov 2026 09:00:00 +0000","date_sent":"Fri, 20 Nov 2026 09:00:01 +0000",
          "direction":"inbound","error_code":30004,"from":"+12065550100","num_media":"3","sid":"{INBOUND}",
          "status":"received","to":"+12065550199"}}]}}"#
    )
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn messages_are_read_page_by_page() {
    let next =
        format!(r#""/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To=%2B1&PageSize=2&Page=1&PageToken=PA1""#);
    let provider =
        Provider::playing([Act::json("200 OK", "", &page(&next)), Act::json("200 OK", "", &page("null"))])
            .await;
    let (client, credentials) = (provider.client(), credentials());
    let first = client.list(&credentials, &List::default()).await.unwrap();
    let [ours, theirs] = &first.messages[..] else { panic!("two messages") };
    assert_eq!((ours.sid.as_str(), ours.direction), (SID, Direction::OutboundApi));
    assert_eq!((ours.status, ours.sent_at, &ours.from), (Some(DeliveryStatus::Queued), None, &None));
    assert_eq!(ours.created_at, Some(time("2026-11-20T10:00:00Z")));
    assert_eq!((ours.body.reveal(), ours.media), ("hello 🔥", 0));
    assert_eq!((theirs.direction, theirs.status, theirs.media), (Direction::Inbound, None, 3));
    assert_eq!(
        (theirs.from.as_ref().map(Address::reveal), theirs.error_code),
        (Some("+12065550100"), Some(30004))
    );

    let second = client.list_next(&credentials, &first.next.unwrap()).await.unwrap();
    assert_eq!(second.next, None);
    let received = provider.received();
    assert_eq!(
        received[1].target,
        format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To=%2B1&PageSize=2&Page=1&PageToken=PA1")
    );
    assert_eq!(received[1].header("authorization"), received[0].header("authorization"));
}

#[tokio::test]
async fn a_list_asks_for_what_its_filters_say() {
    let provider = Provider::playing([Act::json("200 OK", "", &page("null"))]).await;
    let (to, from) = (Address::from_stored("+12065550100"), Address::from_stored("+12065550199"));
    let list = List {
        to: Some(&to),
        from: Some(&from),
        sent_after: Some(time("2026-11-20T10:00:00Z")),
        sent_before: Some(time("2026-11-20T11:00:00Z")),
        page_size: 7,
    };
    provider.client().list(&credentials(), &list).await.unwrap();
    let request = provider.received().remove(0);
    let query = request.target.split_once('?').unwrap().1;
    let sent = Parameters::parse(query.as_bytes(), 9).unwrap();
    assert_eq!(
        sent.iter().collect::<Vec<_>>(),
        [
            ("PageSize", "7"),
            ("To", "+12065550100"),
            ("From", "+12065550199"),
            ("DateSent>", "2026-11-20T10:00:00Z"),
            ("DateSent<", "2026-11-20T11:00:00Z"),
        ]
    );
}

#[tokio::test]
async fn the_next_page_is_asked_of_the_same_server_wherever_the_answer_points() {
    let elsewhere = Provider::playing([]).await;
    let next = format!(r#""{}/2010-04-01/x?PageToken=PA1""#, elsewhere.url);
    let provider =
        Provider::playing([Act::json("200 OK", "", &page(&next)), Act::json("200 OK", "", &page("null"))])
            .await;
    let client = provider.client();
    let first = client.list(&credentials(), &List::default()).await.unwrap();
    client.list_next(&credentials(), &first.next.unwrap()).await.unwrap();
    assert_eq!(elsewhere.received().len(), 0);
    assert_eq!(provider.received().len(), 2);
}

#[tokio::test]
async fn one_message_is_fetched_or_known_to_be_absent() {
    let message = format!(r#"{{"sid":"{SID}","status":"delivered","direction":"outbound-api"}}"#);
    let gone = r#"{"code":20404,"status":404}"#;
    let provider =
        Provider::playing([Act::json("200 OK", "", &message), Act::json("404 NOT FOUND", "", gone)]).await;
    let (client, credentials) = (provider.client(), credentials());
    let found = client.fetch(&credentials, SID).await.unwrap();
    assert_eq!(found.and_then(|message| message.status), Some(DeliveryStatus::Delivered));
    assert_eq!(client.fetch(&credentials, SID).await, Ok(None));
    let target = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json");
    assert!(provider.received().iter().all(|request| request.target == target));
}

#[tokio::test]
async fn a_messages_files_are_found_where_its_webhook_would_have_said() {
    let file =
        |sid: &str| format!(r#"{{"sid":"{sid}","content_type":"image/png","uri":"//elsewhere.example/x"}}"#);
    let list =
        |files: &str| Act::json("200 OK", "", &format!(r#"{{"media_list":[{files}],"next_page_uri":null}}"#));
    let (one, two) = (format!("ME{:032x}", 1), format!("ME{:032x}", 2));
    let acts = [
        list(&format!("{},{}", file(&one), file(&two))),
        list(""),
        Act::json("404 NOT FOUND", "", r#"{"code":20404}"#),
        list(&file("../../../x")),
        list(&file("ME0000000000000000000000000000000/")),
    ];
    let provider = Provider::playing(acts).await;
    let (client, credentials) = (provider.client(), credentials());
    let files = client.media(&credentials, INBOUND).await.unwrap();
    let place = format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages/{INBOUND}/Media", provider.url);
    let found: Vec<_> = files.iter().map(|file| (file.url.clone(), file.content_type.as_str())).collect();
    assert_eq!(found, [one, two].map(|sid| (format!("{place}/{sid}"), "image/png")));
    assert_eq!(client.media(&credentials, INBOUND).await.unwrap(), []);
    assert_eq!(client.media(&credentials, INBOUND).await.unwrap(), [], "a message that is gone has none");
    for _ in 0..2 {
        let refused = client.media(&credentials, INBOUND).await;
        assert_eq!(refused, Err(Trouble::UnreadableAnswer.into()), "an answer leads nowhere else");
    }
    let target = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{INBOUND}/Media.json?PageSize=50");
    assert_eq!(provider.received()[0].target, target);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_an_empty_list() {
    let unavailable = |reason| Err(ReadError::Unavailable { reason, retry_after: None });
    let unreadable = unavailable(Trouble::UnreadableAnswer);
    let sid = |sid: &str| format!(r#"{{"messages":[{{"sid":"{sid}"}}]}}"#);
    let date = format!(r#"{{"messages":[{{"sid":"{SID}","date_created":"yesterday"}}]}}"#);
    for (act, expected) in [
        (Act::json("200 OK", "", "{}"), unreadable.clone()),
        (Act::json("200 OK", "", "<html>"), unreadable.clone()),
        (Act::json("200 OK", "", &sid("SM1")), unreadable.clone()),
        (Act::json("200 OK", "", &date), unreadable),
        (Act::json("500 INTERNAL SERVER ERROR", "", ""), unavailable(Trouble::ServerError(500))),
        (Act::json("429 TOO MANY REQUESTS", "", ""), unavailable(Trouble::Throttled)),
        (Act::json("302 FOUND", "", ""), unavailable(Trouble::UnexpectedStatus(302))),
        (Act::Hang, unavailable(Trouble::TimedOut)),
        (Act::Reset, unavailable(Trouble::ConnectionLost)),
        (
            Act::json("401 UNAUTHORIZED", "", r#"{"code":20003}"#),
            Err(ReadError::AccountRefused { http_status: 401, code: Some(20003) }),
        ),
        (
            Act::json("400 BAD REQUEST", "", r#"{"code":20001}"#),
            Err(ReadError::Refused { http_status: 400, code: Some(20001) }),
        ),
    ] {
        let provider = Provider::playing([act]).await;
        assert_eq!(provider.client().list(&credentials(), &List::default()).await, expected);
    }
}
