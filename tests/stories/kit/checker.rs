//! Holds the database, the simulator's ledger and a story's own books against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use casewire_domain::MessageId;
use casewire_twilio::webhook::parse_status_path;

use super::books::Entry;
use super::cluster::Cluster;

/// What there is at the end of a story.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// By SID.
    books: BTreeMap<String, Entry>,
    /// Customers' texts: SID, case, conversation.
    inbound: Vec<(String, Option<String>, String)>,
    /// SIDs of texts that have an event.
    events: BTreeSet<String>,
    /// Cases: conversation and how often they were opened.
    cases: Vec<(String, u64)>,
    /// Automatic replies.
    replies: Vec<Reply>,
    /// Texts of ours that the provider has: message, SID.
    sends: Vec<(String, String)>,
    dead: u64,
}

/// An automatic reply: its id, its provider's, and what the outbox says of it.
#[derive(Clone, Debug, Default)]
struct Reply {
    id: String,
    sid: String,
    outbox: String,
}

/// What held, in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) texts: usize,
    pub(crate) taken: usize,
    pub(crate) requests: u32,
    pub(crate) cases: usize,
    pub(crate) sent: usize,
    pub(crate) uncertain: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { texts, taken, requests, cases, sent, uncertain } = self;
        write!(f, "{texts} texts in {requests} requests, {taken} taken; {cases} cases; ")?;
        write!(f, "{sent} texts of ours at the provider, {uncertain} left uncertain")
    }
}

impl Cluster {
    /// Waits until nothing is under way: the stream has no work left, every text taken is stored, the outbox holds nothing but what is uncertain,
    /// no status waits for its text, and Twilio has told us everything.
    pub(crate) async fn settle(&self, within: Duration) {
        let start = Instant::now();
        let left = || within.saturating_sub(start.elapsed());
        let idle = async || self.backlog().await == Some(0);
        casewire_testkit::eventually("the stream has no work left", left(), idle).await.unwrap();
        let (taken, inbound) =
            (self.books.taken() as u64, "select count(*) from message where direction = 'inbound'");
        self.wait_for(&format!("{taken} texts are stored"), inbound, left(), |stored| stored >= taken).await;
        let unsent = "select count(*) from outbox where state <> 'uncertain'";
        self.wait_for("the outbox is empty", unsent, left(), |unsent| unsent == 0).await;
        assert!(self.simulator.wait_until_idle(left()).await, "the simulator is not done");
        casewire_testkit::eventually("all it told is done with", left(), idle).await.unwrap();
        let waiting = "select count(*) from event where outcome = 'waiting'";
        self.wait_for("no status waits", waiting, left(), |waiting| waiting == 0).await;
    }

    /// Insists that everything fits together; `dead` dead letters are expected.
    pub(crate) async fn check(&self, dead: u64) -> Figures {
        let found = self.found().await;
        let problems = found.problems(dead);
        let few = problems.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(problems.is_empty(), "{} things do not fit:\n{few}", problems.len());
        found.figures()
    }

    async fn found(&self) -> Found {
        let rows = async |query| {
            let rows: Vec<String> = self.sql(query).await;
            rows.iter().map(|row| row.split('|').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let inbound =
            "select provider_sid, case_id, conversation_id from message where direction = 'inbound'";
        let events =
            "select split_part(dedupe_id, ':', 3) from event where kind = 'message' and outcome <> 'dead'";
        let cases = "select c.conversation_id, (select count(*) from case_event e where e.case_id = c.id \
                     and e.kind = 'case_opened') from \"case\" c";
        let replies = "select m.id, m.provider_sid, o.state from message m \
                       left join outbox o on o.message_id = m.id where m.automatic";
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Found {
            books: self.books.entries(),
            inbound: rows(inbound).await.iter().map(|r| (r[0].clone(), some(&r[1]), r[2].clone())).collect(),
            events: rows(events).await.concat().into_iter().collect(),
            cases: rows(cases).await.iter().map(|r| (r[0].clone(), r[1].parse().unwrap())).collect(),
            replies: rows(replies)
                .await
                .iter()
                .map(|r| Reply { id: r[0].clone(), sid: r[1].clone(), outbox: r[2].clone() })
                .collect(),
            sends: self.sends(),
            dead: self.count("select count(*) from event where outcome = 'dead'").await,
        }
    }

    /// Every text the provider has of us: our message, as its callback's path names it, and the SID.
    pub(crate) fn sends(&self) -> Vec<(String, String)> {
        let message = |callback: &str| -> MessageId {
            let target = callback.strip_prefix(&self.public_url()).unwrap();
            parse_status_path(target).unwrap().0
        };
        let sends = self.simulator.ledger().sends;
        sends
            .iter()
            .map(|send| (message(send.status_callback.as_deref().unwrap()).to_string(), send.sid.to_string()))
            .collect()
    }
}

impl Found {
    /// Everything that does not fit.
    fn problems(&self, dead: u64) -> Vec<String> {
        let mut problems = self.texts();
        problems.extend(self.conversations());
        problems.extend(self.acknowledgements());
        if self.dead != dead {
            problems.push(format!("{} dead letters instead of {dead}", self.dead));
        }
        problems
    }

    /// Every text that got 200 is in exactly one case; one that was refused is nowhere.
    fn texts(&self) -> Vec<String> {
        let mut stored: BTreeMap<&str, Vec<&Option<String>>> = BTreeMap::new();
        for (sid, case, _) in &self.inbound {
            stored.entry(sid).or_default().push(case);
        }
        let mut problems = Vec::new();
        for (sid, entry) in &self.books {
            let rows = stored.remove(sid.as_str()).unwrap_or_default();
            match (entry.answer, rows.as_slice()) {
                (Some(200), [Some(_)]) => {}
                (Some(200), rows) => problems.push(format!("{sid} got 200 and is stored as {rows:?}")),
                (Some(403), []) if !self.events.contains(sid) => {}
                (Some(403), _) => problems.push(format!("{sid} was refused and is stored")),
                (_, [] | [Some(_)]) => {}
                (_, rows) => problems.push(format!("{sid} got no 200 and is stored as {rows:?}")),
            }
        }
        problems.extend(stored.keys().map(|sid| format!("{sid} is stored and was never sent")));
        problems
    }

    /// One case a conversation, opened once.
    fn conversations(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for (conversation, opened) in &self.cases {
            if !seen.insert(conversation) {
                problems.push(format!("conversation {conversation} has a second case"));
            }
            if *opened != 1 {
                problems.push(format!("the case of conversation {conversation} was opened {opened} times"));
            }
        }
        let senders: BTreeSet<_> = self.inbound.iter().map(|(_, _, conversation)| conversation).collect();
        if senders.len() != self.cases.len() {
            problems.push(format!("{} conversations have {} cases", senders.len(), self.cases.len()));
        }
        problems
    }

    /// One acknowledgement a case; the provider has it once, or at most once where nobody knows.
    fn acknowledgements(&self) -> Vec<String> {
        let mut sends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (message, sid) in &self.sends {
            sends.entry(message).or_default().push(sid);
        }
        let mut problems = Vec::new();
        if self.replies.len() != self.cases.len() {
            problems.push(format!("{} cases have {} acknowledgements", self.cases.len(), self.replies.len()));
        }
        for Reply { id, sid, outbox } in &self.replies {
            let at_provider = sends.remove(id.as_str()).unwrap_or_default();
            let fits = match at_provider.as_slice() {
                [one] => *one == sid || (sid.is_empty() && outbox == "uncertain"),
                [] => outbox == "uncertain" && sid.is_empty(),
                _ => false,
            };
            if !fits {
                problems
                    .push(format!("message {id} ({sid}, {outbox}) is at the provider as {at_provider:?}"));
            }
        }
        problems.extend(sends.keys().map(|message| format!("message {message} is at the provider alone")));
        problems
    }

    fn figures(&self) -> Figures {
        Figures {
            texts: self.books.len(),
            taken: self.books.values().filter(|entry| entry.answer == Some(200)).count(),
            requests: self.books.values().map(|entry| entry.tries).sum(),
            cases: self.cases.len(),
            sent: self.sends.len(),
            uncertain: self.replies.iter().filter(|reply| reply.outbox == "uncertain").count(),
        }
    }
}

mod tests {
    use super::*;

    fn sound() -> Found {
        let entry = |answer| Entry { from: "someone".into(), answer: Some(answer), tries: 1 };
        let reply = |id: &str, sid: &str, outbox: &str| Reply {
            id: id.into(),
            sid: sid.into(),
            outbox: outbox.into(),
        };
        Found {
            books: [("SM1", 200), ("SM2", 200), ("SM3", 403), ("SM4", 503)]
                .map(|(sid, answer)| (sid.to_owned(), entry(answer)))
                .into(),
            inbound: vec![
                ("SM1".into(), Some("case 1".into()), "a".into()),
                ("SM2".into(), Some("case 2".into()), "b".into()),
            ],
            events: ["SM1".to_owned(), "SM2".to_owned()].into(),
            cases: vec![("conversation a".into(), 1), ("conversation b".into(), 1)],
            replies: vec![reply("m1", "SM8", ""), reply("m2", "", "uncertain")],
            sends: vec![("m1".into(), "SM8".into())],
            dead: 0,
        }
    }

    #[test]
    fn what_fits_is_not_complained_of() {
        assert_eq!(sound().problems(0), [""; 0]);
        assert_eq!(sound().figures().uncertain, 1);
    }

    #[test]
    fn each_thing_that_does_not_fit_is_noticed() {
        type Spoil = fn(&mut Found);
        let spoilt: [(&str, Spoil); 11] = [
            ("a lost text", |found| drop(found.inbound.pop())),
            ("a text twice", |found| found.inbound.extend_from_within(..1)),
            ("a text in no case", |found| found.inbound[0].1 = None),
            ("a refused text", |found| found.events.extend(["SM3".into()])),
            ("an unknown text", |found| found.inbound[1].0 = "SM9".into()),
            ("a split conversation", |found| found.cases[1].0 = found.cases[0].0.clone()),
            ("a case opened twice", |found| found.cases[0].1 = 2),
            ("a reply twice", |found| found.sends.push(("m1".into(), "SM9".into()))),
            ("a reply never sent", |found| found.sends.clear()),
            ("a reply without a case", |found| found.replies.push(Reply::default())),
            ("a dead letter", |found| found.dead = 1),
        ];
        for (what, spoil) in spoilt {
            let mut found = sound();
            spoil(&mut found);
            assert!(!found.problems(0).is_empty(), "{what}");
        }
    }
}
