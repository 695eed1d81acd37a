//! A batch is nothing but its commands one after another: what `State::apply` carries from one decision to
//! the next is what the next would have loaded.

use std::time::Duration;

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::bench::{ANNA, Bench, FOREIGN, HEATHER, IAN, MAIN, SECOND, accepted, facts};
use super::shelf::FIRST_NUMBER;
use crate::case::CaseStatus;
use crate::command::{Command, Reply};
use crate::outbox::AttemptOutcome;
use crate::template::Template;
use crate::{
    CaseNumber, DeliveryStatus, EventKind, InboundText, Keyword, Location, MessageId, StatusReport, Text,
};

const LINES: [&str; 4] = [MAIN, SECOND, FOREIGN, "nowhere"];
const PEOPLE: [&str; 5] = [HEATHER, IAN, "ACME Bank", "+15550003333", ""];
const BODIES: [&str; 8] = ["hi", "STOP", "START", "HELP", "00001001", "00001002 00001001", "99999999", ""];

fn sid() -> impl Strategy<Value = String> {
    (0..12u32).prop_map(|n| format!("SM{n:032x}"))
}

/// Few enough that events, ids, numbers and keys meet.
fn number() -> impl Strategy<Value = CaseNumber> {
    (FIRST_NUMBER..FIRST_NUMBER + 4).prop_map(|n| CaseNumber::new(n).unwrap())
}

fn message() -> impl Strategy<Value = MessageId> {
    (1..24u128).prop_map(|n| MessageId(Uuid::from_u128(n)))
}

fn status() -> impl Strategy<Value = DeliveryStatus> {
    select(vec![DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Failed])
}

fn code() -> impl Strategy<Value = Option<u32>> {
    select(vec![None, None, Some(21_610), Some(30_003)])
}

fn text() -> impl Strategy<Value = Command> {
    let said = (select(&BODIES[..]), option::weighted(0.1, select(vec![Keyword::Stop, Keyword::Start])));
    let place = option::of(select(vec!["SEATTLE", "TACOMA"]));
    (select(&LINES[..]), select(&PEOPLE[..]), said, sid(), -90..5i64, place).prop_map(
        |(line, from, (body, opt_out), provider_sid, seconds, city)| {
            let at = Bench::new().now + TimeDelta::seconds(seconds);
            let text = InboundText {
                from: from.into(),
                to: "+15550001111".into(),
                body: Text::new(body),
                media: Vec::new(),
                location: Location { city: city.map(Into::into), ..Location::default() },
                opt_out,
                provider_sid,
            };
            let id = format!("i:{}:{}", line.len() % 4, text.provider_sid);
            Command::Text(facts(line, EventKind::Message, id, at).into(), text)
        },
    )
}

fn report() -> impl Strategy<Value = Command> {
    let ours = option::of((message(), 1..3u32));
    (select(&LINES[..]), sid(), status(), code(), ours).prop_map(|(line, sid, status, error_code, ours)| {
        let id = format!("s:{line}:{sid}:{}:{error_code:?}", status.as_str());
        let report = StatusReport { provider_sid: sid, status, error_code, ours };
        Command::Status(facts(line, EventKind::MessageStatus, id, Bench::new().now).into(), report)
    })
}

fn attempted() -> impl Strategy<Value = Command> {
    let outcome = prop_oneof![
        sid().prop_map(|sid| accepted(&sid)),
        code().prop_map(|code| AttemptOutcome::Rejected { code }),
        Just(AttemptOutcome::NotProcessed { retry_after: Duration::ZERO }),
        Just(AttemptOutcome::Suppressed),
        Just(AttemptOutcome::Uncertain),
    ];
    (message(), 1..3u32, outcome).prop_map(|(message_id, attempt, outcome)| Command::Attempted {
        message_id,
        attempt,
        outcome,
        trace: None,
    })
}

fn reply() -> impl Strategy<Value = Command> {
    (number(), select(vec!["on our way", "sorry"]), option::of(select(vec!["k1", "k2"]))).prop_map(
        |(case, body, key)| {
            let (body, author) = (Text::new(body), ANNA.to_owned());
            Command::Reply(Reply { case, body, author, idempotency_key: key.map(Into::into), trace: None })
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let set = (number(), select(vec![CaseStatus::Open, CaseStatus::Pending, CaseStatus::Closed]))
        .prop_map(|(case, status)| Command::SetStatus { case, status, actor: ANNA.into() });
    let other = (sid(), any::<bool>()).prop_map(|(sid, readable)| {
        let facts = facts(MAIN, EventKind::Other, format!("h:{sid}"), Bench::new().now).into();
        if readable { Command::Record(facts) } else { Command::SetAside(facts, "unreadable".into()) }
    });
    prop_oneof![6 => text(), 3 => report(), 3 => attempted(), 2 => reply(), 2 => set, 1 => other]
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.main().acknowledgements.on_update = Template::parse("got it, {{ contact_name }}").unwrap();
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_batch_is_its_commands_one_after_another(rounds in vec(vec(command(), 1..12), 1..6)) {
        let (mut together, mut alone) = (bench(), bench());
        for round in rounds {
            let outcomes = together.batch(&round);
            for (command, outcome) in round.into_iter().zip(outcomes) {
                prop_assert_eq!(&alone.take(command.clone()), &outcome, "{:?}", command);
            }
            prop_assert_eq!(&together.shelf, &alone.shelf);
            for bench in [&mut together, &mut alone] {
                bench.claim();
                bench.wait(TimeDelta::minutes(1));
            }
        }
    }
}
