//! Status callbacks tell of a text's way.

use std::time::Duration;

use casewire_simulator::{Config, Lifecycle, Span};

use crate::receiver::{Receiver, tell};
use crate::stand::{ACCOUNT, LINE, PERSON, Stand, quick};

/// Slow enough that one callback has arrived before the next one leaves.
fn unhurried() -> Config {
    let lifecycle = Lifecycle { delivered: Span::millis(500, 500), ..Lifecycle::at_once() };
    Config { lifecycle, retry_pause: Duration::ZERO, ..quick() }
}

async fn send_to(stand: &Stand, to: &str, callback: &str) {
    stand.send(&[("From", LINE), ("To", to), ("Body", "hello"), ("StatusCallback", callback)]).await;
    stand.idle().await;
}

#[tokio::test]
async fn a_delivered_text_calls_back_twice_in_order_and_signed() {
    let receiver = Receiver::start(|_, _| tell(204));
    let stand = Stand::start(unhurried());
    stand.ready().await;
    send_to(&stand, PERSON, &receiver.url("/inbound/l/status/m.1#rc=5&rp=all")).await;
    assert_eq!(receiver.statuses(), ["sent", "delivered"]);
    for request in receiver.received() {
        assert_eq!(request.target, "/inbound/l/status/m.1");
        assert!(receiver.is_signed(&request));
        assert_eq!(request.get("MessageSid"), request.get("SmsSid"));
        assert_eq!(request.get("MessageStatus"), request.get("SmsStatus"));
        assert_eq!(
            [request.get("AccountSid"), request.get("From"), request.get("To")],
            [ACCOUNT, LINE, PERSON]
        );
        assert_eq!([request.get("ApiVersion"), request.get("ErrorCode")], ["2010-04-01", "(absent)"]);
    }
    let done = receiver.received()[1].get("RawDlrDoneDate");
    assert!(done.len() == 10 && done.bytes().all(|digit| digit.is_ascii_digit()), "{done}");
    assert_eq!(stand.simulator.ledger().callbacks.delivered, 2);
}

#[tokio::test]
async fn magic_numbers_end_otherwise() {
    let receiver = Receiver::start(|_, _| tell(204));
    let stand = Stand::start(unhurried());
    stand.ready().await;
    send_to(&stand, "+15005553003", &receiver.url("/")).await;
    send_to(&stand, "+15005554034", &receiver.url("/")).await;
    send_to(&stand, "+15005552000", &receiver.url("/")).await;
    assert_eq!(receiver.statuses(), ["sent", "undelivered", "failed", "sent"]);
    let received = receiver.received();
    assert_eq!([received[1].get("ErrorCode"), received[2].get("ErrorCode")], ["30003", "30034"]);
    assert_eq!(stand.inbox("+15005553003"), [""; 0]);
}

#[tokio::test]
async fn a_callback_is_tried_again_only_as_its_url_says_and_then_given_up() {
    let receiver = Receiver::start(|n, _| if n == 0 { tell(500) } else { tell(204) });
    let stand = Stand::start(unhurried());
    stand.ready().await;
    send_to(&stand, PERSON, &receiver.url("/")).await;
    assert_eq!(receiver.statuses(), ["sent", "delivered"]);
    let counts = stand.simulator.ledger().callbacks;
    assert_eq!((counts.delivered, counts.failed), (1, 1));

    let receiver = Receiver::start(|n, _| if n == 0 { tell(500) } else { tell(204) });
    send_to(&stand, PERSON, &receiver.url("/#rc=1&rp=5xx")).await;
    assert_eq!(receiver.statuses(), ["sent", "sent", "delivered"]);
}
