//! What must hold whatever went wrong: I1 to I9, as plain functions of what was found. (I10 is about processes:
//! `vitals.rs`.)

use std::collections::{HashMap, HashSet};

use casewire_domain::status::DeliveryStatus;

use crate::books::Kind;
use crate::found::Found;

/// A claim made just before somebody's STOP may still reach the provider while its lease holds, in milliseconds.
const LEASE: f64 = 6_500.0;

/// What a row expects beside the ordinary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Dead letters, beside strange texts that were set aside.
    pub(crate) dead: u64,
    /// Automatic replies to one case, at most.
    pub(crate) replies: usize,
    /// Texts in the database that the load did not send.
    pub(crate) others: usize,
    /// A process was frozen between a claim and its request for this long, in milliseconds.
    pub(crate) frozen: f64,
}

impl Default for Expected {
    fn default() -> Self {
        Self { dead: 0, replies: 1, others: 0, frozen: 0.0 }
    }
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// I1 to I10.
    pub(crate) invariant: &'static str,
    pub(crate) how: String,
}

fn broken(invariant: &'static str, how: String) -> Broken {
    Broken { invariant, how }
}

impl Found {
    /// Everything that does not fit.
    pub(crate) fn broken(&self, expected: &Expected) -> Vec<Broken> {
        [
            self.texts(expected),
            self.cases(),
            self.sending(expected),
            self.statuses(),
            self.suppressed(expected),
            self.under_way(),
            self.order(),
            self.drained(expected),
        ]
        .concat()
    }

    /// I1: every text that got 200 is stored exactly once. I2: a refused one is nowhere. I4: an ordinary one is in a
    /// case; one that is in none says why.
    fn texts(&self, expected: &Expected) -> Vec<Broken> {
        let mut stored: HashMap<&str, Vec<_>> = HashMap::new();
        for text in &self.inbound {
            stored.entry(&text.sid).or_default().push(text);
        }
        let events: HashSet<_> = self.events.iter().map(String::as_str).collect();
        let aside: HashSet<_> = self.set_aside.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for (sid, entry) in &self.books {
            let rows = stored.remove(sid.as_str()).unwrap_or_default();
            let strange = entry.kind == Kind::Strange && aside.contains(sid.as_str());
            let times = rows.len() + usize::from(strange);
            if times > 1 || (entry.taken() && times == 0) {
                found
                    .push(broken("I1", format!("{sid}, answered {}, is stored {times} times", entry.answer)));
            }
            let refused = entry.kind == Kind::Forged || entry.answer == 403;
            if refused && (!rows.is_empty() || events.contains(sid.as_str()) || entry.taken()) {
                found.push(broken("I2", format!("{sid} was not ours and is stored")));
            }
            for row in rows {
                if row.case.is_empty() != (entry.kind == Kind::Stop) || row.rule.is_empty() {
                    let how = format!("{sid}, {:?}, is in case {:?} by {:?}", entry.kind, row.case, row.rule);
                    found.push(broken("I4", how));
                }
            }
        }
        if stored.len() != expected.others {
            let (count, others) = (stored.len(), expected.others);
            found.push(broken(
                "I1",
                format!("{count} texts are stored that the load never sent, instead of {others}"),
            ));
        }
        found
    }

    /// I4: one case a conversation, opened once: nobody closes any.
    fn cases(&self) -> Vec<Broken> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (conversation, opened) in &self.cases {
            if !seen.insert(conversation) {
                found.push(broken("I4", format!("conversation {conversation} has a second case")));
            }
            if *opened != 1 {
                found.push(broken("I4", format!("the case of {conversation} was opened {opened} times")));
            }
        }
        let texting: HashSet<_> =
            self.inbound.iter().filter(|text| !text.case.is_empty()).map(|text| &text.conversation).collect();
        if texting != seen {
            let (one, other) = (texting.len(), seen.len());
            found.push(broken(
                "I4",
                format!("{one} conversations have texts in cases, and {other} have cases"),
            ));
        }
        found
    }

    /// I3: the provider has each text of ours once, under the SID we know; of each case there is one acknowledgement.
    fn sending(&self, expected: &Expected) -> Vec<Broken> {
        let mut sends: HashMap<&str, Vec<&str>> = HashMap::new();
        for sent in &self.sends {
            sends.entry(&sent.message).or_default().push(&sent.sid);
        }
        let mut replies: HashMap<&str, usize> = HashMap::new();
        let mut found = Vec::new();
        for text in &self.outbound {
            let replies = replies.entry(&text.case).or_default();
            *replies += 1;
            if *replies > expected.replies {
                found.push(broken("I3", format!("case {} is answered {replies} times", text.case)));
            }
            let taken = sends.remove(text.id.as_str()).unwrap_or_default();
            let fits = match taken.as_slice() {
                [] => text.sid.is_empty(),
                [one] => *one == text.sid || text.sid.is_empty(),
                _ => false,
            };
            if !fits {
                found.push(broken(
                    "I3",
                    format!("{} ({}) is at the provider as {taken:?}", text.id, text.sid),
                ));
            }
        }
        found.extend(sends.keys().map(|id| broken("I3", format!("{id} is at the provider alone"))));
        found
    }

    /// I5: a status is the furthest of those reported; or what the provider itself has, whose list may have been asked.
    fn statuses(&self) -> Vec<Broken> {
        let mut furthest: HashMap<&str, DeliveryStatus> = HashMap::new();
        for (sid, status) in &self.reported {
            let Some(status) = DeliveryStatus::parse(status) else { continue };
            let known = furthest.entry(sid).or_insert(status);
            *known = status.max(*known);
        }
        let own: HashMap<_, _> = self.sends.iter().map(|sent| (&sent.sid, &sent.status)).collect();
        let wrong = self.outbound.iter().filter(|text| !text.sid.is_empty()).filter_map(|text| {
            let wanted = furthest.get(text.sid.as_str()).copied().unwrap_or(DeliveryStatus::Queued);
            let is = DeliveryStatus::parse(&text.status);
            (is != Some(wanted) && own.get(&text.sid) != Some(&&text.status))
                .then(|| broken("I5", format!("{} is {} and not {wanted:?}", text.sid, text.status)))
        });
        wrong.collect()
    }

    /// I6: nothing is decided on for somebody after their STOP, and nothing reaches the provider after a claim that
    /// was made before it has run out.
    fn suppressed(&self, expected: &Expected) -> Vec<Broken> {
        let decided = self.outbound.iter().map(|text| (&text.to, text.decided, 0.0));
        let sent = self.sends.iter().map(|sent| (&sent.to, sent.accepted, LEASE + expected.frozen));
        let late = decided.chain(sent).filter_map(|(to, at, grace)| {
            let stopped = self.stopped.get(to)?;
            // Of a STOP and a text decided on in one transaction, the time is one.
            (at > stopped + grace).then(|| broken("I6", format!("a text {} ms after a STOP", at - stopped)))
        });
        late.collect()
    }

    /// I7: no text of ours is on its way without end; what is uncertain the provider never took.
    fn under_way(&self) -> Vec<Broken> {
        let taken: HashSet<_> = self.sends.iter().map(|sent| sent.message.as_str()).collect();
        let stuck = self.outbound.iter().filter(|text| match text.outbox.as_str() {
            "" => false,
            "pending" | "sending" => true,
            _ => taken.contains(text.id.as_str()),
        });
        stuck.map(|text| broken("I7", format!("{} is still {}", text.id, text.outbox))).collect()
    }

    /// I8: of one sender's texts, one that was answered before another was sent is shown before it.
    fn order(&self) -> Vec<Broken> {
        let mut lanes: HashMap<u64, Vec<_>> = HashMap::new();
        for text in &self.inbound {
            if let Some(entry) = self.books.get(&text.sid).filter(|entry| entry.taken()) {
                lanes.entry(entry.sender).or_default().push((text.received, entry, &text.sid));
            }
        }
        let mut found = Vec::new();
        for lane in lanes.values_mut() {
            lane.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
            let mut latest = std::time::Duration::ZERO;
            for (_, entry, sid) in lane {
                if entry.done < latest {
                    found.push(broken(
                        "I8",
                        format!("{sid} was answered before a text that is shown before it was sent"),
                    ));
                }
                latest = latest.max(entry.first);
            }
        }
        found
    }

    /// I9: no work is left, and nothing was set aside but what was sent broken.
    fn drained(&self, expected: &Expected) -> Vec<Broken> {
        let mut found = Vec::new();
        if self.backlog != Some(0) {
            found.push(broken("I9", format!("the stream still has {:?} events", self.backlog)));
        }
        let of_strange =
            |sid: &&String| self.books.get(*sid).is_some_and(|entry| entry.kind == Kind::Strange);
        let injected = expected.dead + self.set_aside.iter().filter(of_strange).count() as u64;
        if self.dead != injected {
            found.push(broken("I9", format!("{} dead letters instead of {injected}", self.dead)));
        }
        found
    }

    /// Texts that got 200 and are nowhere.
    pub(crate) fn lost(&self) -> usize {
        let stored: HashSet<_> = self.inbound.iter().map(|text| text.sid.as_str()).collect();
        let aside: HashSet<_> = self.set_aside.iter().collect();
        let lost = |(sid, entry): &(&String, &crate::books::Entry)| {
            entry.taken() && !stored.contains(sid.as_str()) && !aside.contains(sid)
        };
        self.books.iter().filter(lost).count()
    }

    /// Texts that are stored twice, and texts of ours that the provider has twice.
    pub(crate) fn doubled(&self) -> usize {
        let mut seen = HashSet::new();
        let stored = self.inbound.iter().filter(|text| !seen.insert(&text.sid)).count();
        let mut seen = HashSet::new();
        stored + self.sends.iter().filter(|sent| !seen.insert(&sent.message)).count()
    }

    /// Texts of ours that the provider never took, for all we know: a person decides.
    pub(crate) fn held(&self) -> usize {
        self.outbound.iter().filter(|text| text.outbox == "uncertain").count()
    }
}
