//! What people write, whole.

use serde_json::{Value, json};

use crate::kit::{Desk, Home, Hook, Page, bodies, message_sid, texts};

/// A text as it is sent, and as it must be read.
struct Written {
    what: &'static str,
    sent: String,
    read: String,
}

fn written(what: &'static str, text: impl Into<String>) -> Written {
    let sent = text.into();
    Written { what, read: sent.clone(), sent }
}

/// What people are likely to send, and the longest that can come.
fn all() -> Vec<Written> {
    vec![
        written("an ampersand", "R&D"),
        written("an equals sign", "a=b"),
        written("a percent sign and a plus", "50% + more"),
        written("what looks encoded", "%41+%2B&Body=no&amp;<b>"),
        written("an emoji", "my heater is 🔥"),
        written("a family of emoji and flags", "👨‍👩‍👧‍👦 🇩🇪 ❤️ 👍🏽"),
        written("right to left", "שלום, מה שלומך؟ مرحبا بالعالم"),
        written("accents composed and not", "é e\u{301} ß Ǆ ﬁ"),
        written("Chinese", "我的暖气坏了"),
        written("quotes and a backslash", r#"she said "it's broken" \n 'twice'"#),
        written("line breaks", "first\nsecond\r\nthird\n\nfifth"),
        written("tabs and spaces around", "  \tspaced out \t "),
        written("what looks like a statement", "'); drop table message; --"),
        written("what looks like a template", "{{ number }} {% raw %} ${HOME} $(id)"),
        written("controls", "bell \u{7} escape \u{1b}[31m delete \u{7f}"),
        written("nothing but a space", " "),
        written("1,600 characters", "a b&c=".repeat(267).chars().take(1_600).collect::<String>()),
        written("1,600 emoji", "🔥".repeat(1_600)),
        Written { what: "a NUL", sent: "nul\0here".into(), read: "nul\u{fffd}here".into() },
    ]
}

#[tokio::test]
async fn every_text_arrives_whole_in_its_case() {
    let home = Home::new();
    let up = home.start().await;
    let hook = home.line(&up).await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let all = all();
    for text in &all {
        let taken = hook.text(&message_sid(), "+12065550100", &text.sent).await.unwrap();
        assert_eq!(taken.status(), 200, "{}", text.what);
    }
    let picture = picture(&hook, "+12065550100").await;
    // Also settled: what is compared below must not change meanwhile.
    let settled = |case: &Value| bodies(case, "inbound").len() == all.len() + 1 && is_delivered(case);
    let case = desk.case_when("00001001", "all texts, and the acknowledgement delivered", settled).await;
    let read = bodies(&case, "inbound");
    for (text, read) in all.iter().zip(&read) {
        assert_eq!(*read, text.read, "{}", text.what);
    }
    assert_eq!(read.last(), Some(&""));
    let shown = case["messages"].as_array().unwrap().iter().rfind(|it| it["direction"] == "inbound").unwrap();
    assert_eq!(shown["media"], picture);
    // The terminal shows the same, and its table stays one line a case.
    let in_terminal = home.run(&["case", "show", "00001001", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&in_terminal).unwrap()["messages"], case["messages"]);
    assert_eq!(home.run(&["case", "list"]).await.lines().count(), 2);
}

/// Whether every text of ours has arrived.
fn is_delivered(case: &Value) -> bool {
    let texts = case["messages"].as_array().unwrap();
    texts.iter().filter(|text| text["direction"] == "outbound").all(|text| text["status"] == "delivered")
}

/// A text without words.
async fn picture(hook: &Hook, from: &str) -> Value {
    let url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
    let (sid, path) = (message_sid().replace("SM", "MM"), format!("/inbound/{}", hook.line));
    let form = [
        ("MessageSid", sid.as_str()),
        ("AccountSid", &hook.account_sid),
        ("From", from),
        ("To", "+15550001111"),
        ("Body", ""),
        ("NumMedia", "1"),
        ("MediaUrl0", url),
        ("MediaContentType0", "image/jpeg"),
    ];
    assert_eq!(hook.post(&path, &form.into_iter().collect()).await.unwrap().status(), 200);
    json!([{ "url": url, "content_type": "image/jpeg" }])
}

#[tokio::test]
async fn what_is_written_on_the_handset_and_what_is_answered_arrive_whole() {
    let home = Home::new();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let both: Vec<_> =
        all().into_iter().filter(|text| text.sent == text.read && !text.sent.trim().is_empty()).collect();
    for text in &both {
        assert_eq!(page.text("+12065550100", &text.sent).await["taken"], true, "{}", text.what);
    }
    let case = desk.case_when("00001001", "all texts", |case| bodies(case, "inbound").len() == both.len());
    let case = case.await;
    for (text, read) in both.iter().zip(bodies(&case, "inbound")) {
        assert_eq!(read, text.read, "{}", text.what);
    }
    // Nobody knows whether Twilio counts an emoji once or twice; the simulator counts as strictly as it may.
    for text in &both {
        assert_eq!(desk.reply("00001001", &text.sent, text.what).await.0, 201, "{}", text.what);
    }
    let case = desk.case_when("00001001", "every reply has its end", |case| {
        let ended = |text: &&Value| text["status"] == "delivered" || text["status"] == "failed";
        texts(case, "outbound").filter(ended).count() == both.len() + 1
    });
    let (case, inbox) = (case.await, page.inbox("+12065550100").await);
    for (text, reply) in both.iter().zip(texts(&case, "outbound").skip(1)) {
        assert_eq!(reply["body"], text.sent, "{}", text.what);
        let arrived = inbox.iter().any(|it| it["body"] == text.sent);
        if text.sent.encode_utf16().count() <= 1_600 {
            assert!(arrived && reply["status"] == "delivered", "{}", text.what);
        } else {
            let why = "The text is longer than 1,600 characters. Send it in parts. (Twilio 21617)";
            assert_eq!((arrived, &reply["error"]), (false, &json!(why)), "{}", text.what);
        }
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_sent_is_refused_with_the_field_that_is_wrong() {
    let home = Home::new();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    page.text("+12065550100", "hello").await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    page.arrived("+12065550100", "case number").await;
    for (body, why) in [("", "empty"), (" \n", "empty"), (&*"a".repeat(1_601), "longer"), ("a\0b", "U+0000")]
    {
        let (status, problem) = desk.reply("00001001", body, "a-key").await;
        assert_eq!(status, 422, "{why}");
        assert!(problem.to_string().contains(why), "{problem}");
    }
    assert_eq!(bodies(&desk.case("00001001").await, "outbound").len(), 1);
}
