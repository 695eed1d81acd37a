//! Everything the simulator remembers, behind one lock that is never held across an await.

use std::collections::HashMap;
use std::time::Duration;

use casewire_domain::{Address, Media, Text};
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::account::{Account, Line};
use crate::config::{Config, Span};
use crate::dice::Dice;
use crate::faults::Faults;
use crate::handset::{HandsetDirection, HandsetText, Origin};
use crate::keywords::OptOuts;
use crate::ledger::Book;
use crate::message::{Envelope, Message};
use crate::shelf::Shelf;
use crate::sid::{AccountSid, Sid};

pub(crate) struct State {
    // Each its own, so that ids repeat with the seed whatever the background work draws.
    ids: Dice,
    delays: Dice,
    pub(crate) accounts: HashMap<AccountSid, Account>,
    pub(crate) lines: HashMap<Address, Line>,
    pub(crate) messages: Shelf<Message>,
    by_sid: HashMap<Sid, u64>,
    pub(crate) handsets: Shelf<HandsetText>,
    pub(crate) opt_outs: OptOuts,
    pub(crate) faults: Faults,
    pub(crate) ledger: Book,
}

impl State {
    pub(crate) fn new(config: &Config) -> Self {
        let mut dice = Dice::new(config.seed);
        Self {
            ids: dice.fork(),
            delays: dice.fork(),
            accounts: config.accounts.iter().cloned().collect(),
            lines: config.lines.iter().map(|line| (line.number.clone(), line.clone())).collect(),
            messages: Shelf::new(config.messages_kept),
            by_sid: HashMap::new(),
            handsets: Shelf::new(config.handset_texts_kept),
            opt_outs: OptOuts::default(),
            faults: Faults::new(&mut dice),
            ledger: Book::new(config.ledger_kept),
        }
    }

    pub(crate) fn new_sid(&mut self, media: bool) -> Sid {
        Sid::new(media, self.ids.roll_wide())
    }

    /// What tells the attempts of one webhook from another webhook.
    pub(crate) fn new_idempotency_token(&mut self) -> String {
        format!("{:032x}", self.delays.roll_wide())
    }

    /// A time within a span.
    pub(crate) fn within(&mut self, span: Span) -> Duration {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.delays.between(micros(span.shortest), micros(span.longest)))
    }

    /// The token that signs for this account.
    pub(crate) fn token(&self, account: &AccountSid) -> Option<SecretString> {
        self.accounts.get(account).map(|account| account.auth_token.clone())
    }

    /// Keeps a message; the oldest one leaves when there are too many.
    pub(crate) fn keep(&mut self, message: Message) -> u64 {
        let sid = message.envelope.sid;
        let (place, dropped) = self.messages.push(message);
        self.by_sid.insert(sid, place);
        if let Some(dropped) = dropped {
            self.by_sid.remove(&dropped.envelope.sid);
        }
        place
    }

    pub(crate) fn place_of(&self, sid: Sid) -> Option<u64> {
        self.by_sid.get(&sid).copied()
    }

    /// Whether this account has a message of this id, and removes it.
    pub(crate) fn delete(&mut self, account: &AccountSid, sid: Sid) -> bool {
        let Some(place) = self.find(account, sid).map(|(place, _)| place) else { return false };
        self.by_sid.remove(&sid);
        self.messages.remove(place).is_some()
    }

    pub(crate) fn find(&self, account: &AccountSid, sid: Sid) -> Option<(u64, &Message)> {
        let place = self.place_of(sid)?;
        let message = self.messages.get(place)?;
        (message.envelope.account == *account).then_some((place, message))
    }

    /// Puts a text on its handset.
    pub(crate) fn show(&mut self, text: Shown<'_>, at: DateTime<Utc>) {
        let entry = HandsetText {
            seq: self.handsets.next_place(),
            id: text.id,
            handset: text.handset.clone(),
            direction: text.direction,
            line: text.line.clone(),
            body: text.body.clone(),
            media: text.media.to_vec(),
            at,
            origin: text.origin,
        };
        self.handsets.push(entry);
    }

    /// Puts a text that arrived on the handset it was sent to.
    pub(crate) fn arrive(&mut self, text: &Envelope, origin: Origin, at: DateTime<Utc>) {
        let shown = Shown {
            id: text.sid,
            handset: &text.to,
            line: &text.from,
            direction: HandsetDirection::Received,
            body: &text.body,
            media: &text.media,
            origin,
        };
        self.show(shown, at);
    }
}

/// A text as it is to be put on a handset.
pub(crate) struct Shown<'a> {
    pub(crate) id: Sid,
    pub(crate) handset: &'a Address,
    pub(crate) line: &'a Address,
    pub(crate) direction: HandsetDirection,
    pub(crate) body: &'a Text,
    pub(crate) media: &'a [Media],
    pub(crate) origin: Origin,
}
