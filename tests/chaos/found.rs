//! What there is at the end of a row, as the database and the provider tell it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use casewire_domain::MessageId;
use casewire_twilio::webhook::parse_status_path;

use crate::books::Entry;
use crate::stage::Stage;

/// How often a condition that costs a process of psql is asked.
const PAUSE: Duration = Duration::from_millis(300);

/// A customer's text in the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) sid: String,
    pub(crate) case: String,
    pub(crate) conversation: String,
    /// The rule that placed it.
    pub(crate) rule: String,
    /// Milliseconds since 1970.
    pub(crate) received: f64,
}

/// A text of ours in the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbound {
    pub(crate) id: String,
    pub(crate) sid: String,
    /// Its state in the outbox; empty once it has left.
    pub(crate) outbox: String,
    pub(crate) case: String,
    pub(crate) status: String,
    pub(crate) to: String,
    /// When it was decided on, in milliseconds since 1970.
    pub(crate) decided: f64,
}

/// A text of ours that the provider accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) message: String,
    pub(crate) sid: String,
    pub(crate) to: String,
    /// Milliseconds since 1970.
    pub(crate) accepted: f64,
    /// How far it is, as the provider itself has it.
    pub(crate) status: String,
}

/// Everything the invariants are about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) books: HashMap<String, Entry>,
    pub(crate) inbound: Vec<Inbound>,
    /// SIDs of texts that have an event.
    pub(crate) events: Vec<String>,
    /// Cases: conversation and how often each was opened.
    pub(crate) cases: Vec<(String, u64)>,
    pub(crate) outbound: Vec<Outbound>,
    pub(crate) sends: Vec<Sent>,
    /// Statuses that were reported and handled: SID, status.
    pub(crate) reported: Vec<(String, String)>,
    /// Who said STOP, and when that was decided.
    pub(crate) stopped: HashMap<String, f64>,
    /// SIDs of texts that were set aside, and all that was.
    pub(crate) set_aside: Vec<String>,
    pub(crate) dead: u64,
    pub(crate) backlog: Option<u64>,
}

impl Stage {
    /// Everything there is.
    pub(crate) async fn found(&self) -> Found {
        let inbound = "select provider_sid, case_id, conversation_id, why->>'rule', \
                       extract(epoch from received_at) * 1000 from message where direction = 'inbound'";
        let events =
            "select split_part(dedupe_id, ':', 3) from event where kind = 'message' and outcome <> 'dead'";
        let cases = "select c.conversation_id, (select count(*) from case_event e where e.case_id = c.id \
                     and e.kind = 'case_opened') from \"case\" c";
        let outbound = "select m.id, m.provider_sid, o.state, m.case_id, m.status, c.address, \
                        extract(epoch from m.processed_at) * 1000 from message m \
                        join contact c on c.id = m.contact_id \
                        left join outbox o on o.message_id = m.id where m.direction = 'outbound'";
        let reported = "select split_part(dedupe_id, ':', 3), split_part(dedupe_id, ':', 4) from event \
                        where kind = 'message_status' and dedupe_id like 's:%' and outcome = 'handled'";
        let stopped = "select c.address, min(extract(epoch from e.handled_at)) * 1000 from message m \
                       join contact c on c.id = m.contact_id \
                       join event e on e.kind = 'message' and split_part(e.dedupe_id, ':', 3) = m.provider_sid \
                       where m.why->>'rule' = 'stop' group by 1";
        let number = |text: &String| text.parse::<f64>().unwrap_or_default();
        Found {
            books: self.books.entries(),
            inbound: self
                .rows(inbound)
                .await
                .iter()
                .map(|r| Inbound {
                    sid: r[0].clone(),
                    case: r[1].clone(),
                    conversation: r[2].clone(),
                    rule: r[3].clone(),
                    received: number(&r[4]),
                })
                .collect(),
            events: self.rows(events).await.concat(),
            cases: self.rows(cases).await.iter().map(|r| (r[0].clone(), r[1].parse().unwrap())).collect(),
            outbound: self
                .rows(outbound)
                .await
                .iter()
                .map(|r| Outbound {
                    id: r[0].clone(),
                    sid: r[1].clone(),
                    outbox: r[2].clone(),
                    case: r[3].clone(),
                    status: r[4].clone(),
                    to: r[5].clone(),
                    decided: number(&r[6]),
                })
                .collect(),
            sends: self.sends(),
            reported: self.rows(reported).await.iter().map(|r| (r[0].clone(), r[1].clone())).collect(),
            stopped: self.rows(stopped).await.iter().map(|r| (r[0].clone(), number(&r[1]))).collect(),
            set_aside: self
                .rows("select split_part(dedupe_id, ':', 3) from event where outcome = 'dead'")
                .await
                .concat(),
            dead: self.count("select count(*) from event where outcome = 'dead'").await,
            backlog: self.backlog().await,
        }
    }

    /// How many texts the provider has of us.
    pub(crate) fn sent(&self) -> usize {
        self.simulator.ledger().sends.len()
    }

    /// Every text the provider has of us, by our message as its callback's path names it.
    pub(crate) fn sends(&self) -> Vec<Sent> {
        let message = |callback: &str| -> MessageId {
            parse_status_path(callback.strip_prefix(&self.public_url()).unwrap()).unwrap().0
        };
        let sends = self.simulator.ledger().sends;
        let sent = sends.iter().map(|send| Sent {
            message: message(send.status_callback.as_deref().unwrap()).to_string(),
            sid: send.sid.to_string(),
            to: send.to.reveal().to_owned(),
            accepted: send.accepted_at.timestamp_micros() as f64 / 1000.0,
            status: self
                .simulator
                .status(send.sid)
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
        });
        sent.collect()
    }

    /// Waits until nothing is under way: the stream has no work left, every text taken is stored, the outbox holds
    /// nothing but what only a person can settle, no status waits for its text, and the provider has told us
    /// everything. How long that took, or what was still under way when the time was over.
    pub(crate) async fn settle(&self, within: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let left = self.under_way().await;
            match left {
                None => return Ok(start.elapsed()),
                Some(what) if start.elapsed() >= within => return Err(what),
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// How many texts were taken and are not stored yet; none where the database cannot say.
    pub(crate) async fn waiting(&self) -> u64 {
        let stored = self.try_rows("select count(*) from message where direction = 'inbound'").await;
        let stored = stored.and_then(|stored| stored.concat().concat().parse().ok());
        stored.map_or(0, |stored| self.books.taken().saturating_sub(stored))
    }

    /// Something that is not done yet.
    async fn under_way(&self) -> Option<String> {
        match self.backlog().await {
            Some(0) => {}
            Some(count) => return Some(format!("{count} events of the stream are not handled")),
            None => return Some("the stream is away".to_owned()),
        }
        if !self.simulator.pending().is_empty() {
            return Some(format!("the provider is not done: {:?}", self.simulator.pending()));
        }
        let counts = "select (select count(*) from message where direction = 'inbound'), \
                      (select count(*) from outbox where state <> 'uncertain'), \
                      (select count(*) from event where outcome = 'waiting')";
        let Some(counts) = self.try_rows(counts).await else {
            return Some("the database is away".to_owned());
        };
        let counts: Vec<u64> = counts.concat().iter().map(|count| count.parse().unwrap()).collect();
        let taken = self.books.taken();
        if counts[0] < taken {
            return Some(format!("{} of {taken} texts are stored", counts[0]));
        }
        if counts[1] + counts[2] > 0 {
            return Some(format!("{} texts of ours are under way, {} statuses wait", counts[1], counts[2]));
        }
        let unsettled = self.unsettled().await;
        (unsettled > 0).then(|| format!("{unsettled} texts that the provider took are not found again"))
    }

    /// Texts that the provider took and that are still uncertain here: its callbacks and its list tell of them, so
    /// they must be found. (What it never took only a person can settle.)
    async fn unsettled(&self) -> usize {
        let uncertain = "select message_id from outbox where state = 'uncertain'";
        let uncertain = self.rows(uncertain).await.concat();
        if uncertain.is_empty() {
            return 0;
        }
        let sends = self.sends();
        let taken: std::collections::HashSet<_> = sends.iter().map(|sent| sent.message.as_str()).collect();
        uncertain.iter().filter(|message| taken.contains(message.as_str())).count()
    }
}
