//! A text from a handset reaches the line's webhook.

use std::net::TcpListener;
use std::time::Duration;

use casewire_domain::Media;
use casewire_simulator::{Config, HandsetDraft, Line, Method, TextError};

use crate::receiver::{Receiver, Told, tell, twiml};
use crate::stand::{ACCOUNT, LINE, PERSON, Stand, TOKEN, account, number, quick};

#[tokio::test]
async fn a_text_reaches_the_webhook_signed_and_complete() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/inbound/main?x=1#rc=2&rp=all")).await;
    let sent = stand.text("R&D + 50% = größer 😀").await;
    assert!(sent.taken);
    assert_eq!((sent.webhooks[0].status, sent.webhooks[0].attempts), (Some(200), 1));
    let received = receiver.received();
    let request = &received[0];
    assert!(receiver.is_signed(request));
    assert_eq!(request.target, "/inbound/main?x=1", "the fragment is not sent");
    let sid = sent.sid.to_string();
    for (name, value) in [
        ("MessageSid", sid.as_str()),
        ("SmsSid", &sid),
        ("SmsMessageSid", &sid),
        ("AccountSid", ACCOUNT),
        ("From", PERSON),
        ("To", LINE),
        ("Body", "R&D + 50% = größer 😀"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("ApiVersion", "2010-04-01"),
        ("FromCity", "SEATTLE"),
        ("FromState", "WA"),
        ("FromZip", "98101"),
        ("FromCountry", "US"),
        ("ToCity", ""),
        ("ToCountry", "US"),
        ("OptOutType", "(absent)"),
    ] {
        assert_eq!(request.get(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_picture_makes_it_an_mms() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/")).await;
    let mut draft = HandsetDraft::new(number(PERSON), number(LINE), "");
    let media = |n| Media { url: format!("https://example.com/{n}"), content_type: "image/png".to_owned() };
    draft.media = vec![media(0), media(1)];
    let sent = stand.simulator.send_text(draft).await.unwrap();
    assert!(sent.sid.to_string().starts_with("MM"));
    let request = &receiver.received()[0];
    assert_eq!([request.get("NumMedia"), request.get("MediaUrl1")], ["2", "https://example.com/1"]);
    assert_eq!(request.get("MediaContentType0"), "image/png");
}

#[tokio::test]
async fn a_line_may_want_get_and_basic_auth() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::start(quick());
    stand.ready().await;
    let url = receiver.url("/in?mine=1").replace("http://", "http://user:pass@");
    let line = Line::new(number(LINE), account(), url);
    stand.simulator.set_line(Line { method: Method::Get, auth_token: Some(TOKEN.into()), ..line });
    assert!(stand.text("it's a test").await.taken);
    let request = &receiver.received()[0];
    assert_eq!(request.method, "GET");
    assert!(request.target.starts_with("/in?mine=1&"));
    assert!(receiver.is_signed(request));
    assert_eq!(request.get("Body"), "it's a test");
    assert_eq!(request.authorization.as_deref(), Some("Basic dXNlcjpwYXNz"));
}

#[tokio::test]
async fn an_error_is_not_tried_again_unless_the_url_says_so() {
    let receiver = Receiver::start(|n, _| if n < 2 { tell(503) } else { twiml() });
    let stand = Stand::with_line(&receiver.url("/")).await;
    let lost = stand.text("first").await;
    assert!(!lost.taken);
    assert_eq!((lost.webhooks[0].attempts, lost.webhooks[0].error_code), (1, Some(11_217)));
    stand.set_line(&receiver.url("/#rc=3&rp=4xx,5xx"));
    let saved = stand.text("second").await;
    assert!(saved.taken);
    assert_eq!(saved.webhooks[0].attempts, 2);
    let received = receiver.received();
    assert_ne!(received[0].idempotency_token, received[1].idempotency_token);
    assert_eq!(received[1].idempotency_token, received[2].idempotency_token);
    assert_eq!(received[1].body, received[2].body);
}

#[tokio::test]
async fn a_refused_connection_is_tried_once_more_by_default() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let stand = Stand::with_line(&url).await;
    let outcome = stand.text("hello").await.webhooks.remove(0);
    assert_eq!((outcome.status, outcome.attempts, outcome.error_code), (None, 2, Some(11_205)));
    stand.set_line(&format!("{url}#rc=0"));
    assert_eq!(stand.text("hello").await.webhooks[0].attempts, 1);
}

#[tokio::test]
async fn a_slow_answer_is_given_up_after_the_read_time_out() {
    let receiver = Receiver::start(|n, _| match n {
        0 | 2 => Told { after: Duration::from_secs(30), ..twiml() },
        _ => twiml(),
    });
    let stand = Stand::with_line(&receiver.url("/#rt=600&rp=ct")).await;
    let outcome = stand.text("slow").await.webhooks.remove(0);
    assert_eq!((outcome.attempts, outcome.error_code), (1, Some(11_205)));
    assert!((600..10_000).contains(&outcome.duration_ms), "{outcome:?}");
    assert_eq!(receiver.received().len(), 1);
    stand.set_line(&receiver.url("/#rt=600&rp=rt"));
    assert!(stand.text("quick").await.taken);
    let outcome = stand.text("slow, then quick").await.webhooks.remove(0);
    assert_eq!((outcome.status, outcome.attempts), (Some(200), 2));
}

#[tokio::test]
async fn all_retries_share_the_total_time() {
    let receiver = Receiver::start(|_, _| Told { after: Duration::from_secs(30), ..twiml() });
    let stand = Stand::with_line(&receiver.url("/#rt=200&tt=500&rc=5&rp=all")).await;
    let outcome = stand.text("never").await.webhooks.remove(0);
    assert!(outcome.attempts < 4, "{outcome:?}");
    assert!((300..10_000).contains(&outcome.duration_ms), "{outcome:?}");
}

#[tokio::test]
async fn a_wrong_retry_policy_or_url_is_told_and_nothing_is_sent() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/#rp=sometimes")).await;
    assert_eq!(stand.text("a").await.webhooks[0].error_code, Some(11_243));
    stand.set_line("not a url");
    assert_eq!(stand.text("b").await.webhooks[0].error_code, Some(11_321));
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn the_fallback_is_called_with_the_error() {
    let receiver = Receiver::start(|_, request| match request.target.as_str() {
        "/main" => tell(500),
        _ => twiml(),
    });
    let stand = Stand::start(quick());
    stand.ready().await;
    let mut line = Line::new(number(LINE), account(), receiver.url("/main#rc=0"));
    line.fallback_url = Some(receiver.url("/fallback"));
    stand.simulator.set_line(Line { auth_token: Some(TOKEN.into()), ..line });
    let sent = stand.text("hello").await;
    assert!(sent.taken);
    assert_eq!(sent.fallback.and_then(|outcome| outcome.status), Some(200));
    let fallback = &receiver.received()[1];
    assert!(receiver.is_signed(fallback));
    assert_eq!([fallback.get("ErrorCode"), fallback.get("ErrorUrl")], ["11217", &receiver.url("/main")]);
    assert_eq!(fallback.get("Body"), "hello");
}

#[tokio::test]
async fn redirects_are_followed_and_a_302_loses_the_parameters() {
    let receiver = Receiver::start(|_, request| match request.target.as_str() {
        "/kept" => Told { headers: vec![("Location", "/end".to_owned())], ..tell(307) },
        "/lost" => Told { headers: vec![("Location", "/end".to_owned())], ..tell(302) },
        "/round" => Told { headers: vec![("Location", "/round".to_owned())], ..tell(307) },
        _ => twiml(),
    });
    let stand = Stand::with_line(&receiver.url("/kept")).await;
    assert!(stand.text("kept").await.taken);
    stand.set_line(&receiver.url("/lost"));
    assert!(stand.text("lost").await.taken);
    let received = receiver.received();
    assert_eq!([received[1].method.as_str(), &received[1].get("Body")], ["POST", "kept"]);
    assert_eq!([received[3].method.as_str(), &received[3].get("Body")], ["GET", "(absent)"]);
    assert!(received.iter().all(|request| receiver.is_signed(request)));
    stand.set_line(&receiver.url("/round"));
    assert_eq!(stand.text("round").await.webhooks[0].error_code, Some(11_215));
    assert_eq!(receiver.received().len(), 4 + 11);
}

#[tokio::test]
async fn an_answer_in_plain_text_goes_to_the_person() {
    let receiver = Receiver::start(|_, _| {
        let kind = ("Content-Type", "text/plain".to_owned());
        Told { headers: vec![kind], body: "200 OK".to_owned(), ..tell(200) }
    });
    let stand = Stand::with_line(&receiver.url("/")).await;
    assert!(stand.text("hello").await.taken);
    assert_eq!(stand.inbox(PERSON), ["200 OK"]);
}

#[tokio::test]
async fn an_answer_that_is_no_twiml_or_too_long_is_logged_as_an_error() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Told { body: "{}".to_owned(), ..tell(200) },
        1 => Told { body: " ".repeat(70_000), ..twiml() },
        _ => tell(204),
    });
    let stand = Stand::with_line(&receiver.url("/")).await;
    assert_eq!(stand.text("a").await.webhooks[0].error_code, Some(12_300));
    assert_eq!(stand.text("b").await.webhooks[0].error_code, Some(11_750));
    assert_eq!(stand.text("c").await.webhooks[0].error_code, None);
}

#[tokio::test]
async fn the_same_text_can_be_delivered_again_under_its_own_id() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/")).await;
    let first = stand.text("once").await;
    let mut again = HandsetDraft::new(number(PERSON), number(LINE), "once");
    again.message_sid = Some(first.sid);
    stand.simulator.send_text(again).await.unwrap();
    let sids: Vec<_> = receiver.received().iter().map(|request| request.get("MessageSid")).collect();
    assert_eq!(sids, [first.sid.to_string(), first.sid.to_string()]);
    let (_, list) = stand.read(&format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")).await;
    assert_eq!(list["messages"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_text_nobody_can_take_or_sign_is_refused() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let refused = async |draft| stand.simulator.send_text(draft).await.err();
    let draft = |body: &str| HandsetDraft::new(number(PERSON), number(LINE), body);
    assert_eq!(refused(draft("hello")).await, Some(TextError::UnknownLine));
    assert_eq!(refused(draft(&"x".repeat(1_601))).await, Some(TextError::TooLong));
    assert_eq!(
        refused(HandsetDraft::new(number(" "), number(LINE), "hello")).await,
        Some(TextError::Address)
    );
    stand.simulator.set_line(Line::new(number(LINE), account(), "http://127.0.0.1:9/"));
    assert_eq!(refused(draft("hello")).await, Some(TextError::UnknownAccount));
}

#[tokio::test]
async fn texts_wait_in_a_bounded_queue() {
    let receiver = Receiver::start(|_, _| Told { after: Duration::from_secs(30), ..twiml() });
    let stand = Stand::start(Config { texts_waiting: 2, ..quick() });
    stand.ready().await;
    stand.set_line(&receiver.url("/#tt=3000"));
    let (a, b, refused) = tokio::join!(
        stand.simulator.send_text(HandsetDraft::new(number(PERSON), number(LINE), "a")),
        stand.simulator.send_text(HandsetDraft::new(number(PERSON), number(LINE), "b")),
        stand.simulator.send_text(HandsetDraft::new(number(PERSON), number(LINE), "c")),
    );
    assert!(a.is_ok_and(|a| !a.taken) && b.is_ok_and(|b| !b.taken));
    assert_eq!(refused.err(), Some(TextError::Busy));
}
