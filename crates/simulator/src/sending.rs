//! Taking a text that was sent through the REST API, or refusing it.

use casewire_domain::{Address, Media, Text};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::faults::{Case, FailedStatus, Fault, Stage};
use crate::keywords::Scope;
use crate::ledger::{Answered, SendEntry};
use crate::magic;
use crate::message::{Direction, Envelope, Fate, Message, Status};
use crate::refusal::Refusal;
use crate::sid::AccountSid;
use crate::simulator::Simulator;
use crate::state::State;

/// A text as its sender asked for it, in itself without mistakes.
pub(crate) struct Draft {
    pub(crate) account: AccountSid,
    pub(crate) sender: Sender,
    pub(crate) to: Address,
    pub(crate) body: Text,
    pub(crate) media: Vec<String>,
    pub(crate) status_callback: Option<String>,
}

/// What a text is to be sent from.
pub(crate) struct Sender {
    pub(crate) from: Option<Address>,
    pub(crate) service: Option<String>,
}

/// A text that was taken.
pub(crate) struct Taken {
    /// The resource to answer with.
    pub(crate) resource: Value,
    /// How to answer.
    pub(crate) answer: Answered,
    /// To wait for before answering.
    pub(crate) first_callback: Option<oneshot::Receiver<()>>,
}

impl Simulator {
    /// The fault that refuses a text before it is looked at.
    pub(crate) fn refusal_by_fault(&self, from: &Address, to: &Address) -> Option<Refusal> {
        match self.state().fault(Stage::BeforeAccepting, from, to)? {
            Fault::TooManyRequests { retry_after_s } => {
                Some(Refusal { retry_after_s, ..Refusal::of(20_429) })
            }
            Fault::ErrorBeforeAccepting => Some(Refusal::of(20_500)),
            Fault::OptedOut => Some(Refusal::of(21_610)),
            Fault::Refuse { status, code } => Some(Refusal { status, code, retry_after_s: None }),
            _ => None,
        }
    }

    /// The fault that refuses a list.
    pub(crate) fn list_refusal_by_fault(&self, from: &Address, to: &Address) -> Option<Refusal> {
        match self.state().fault(Stage::Listing, from, to)? {
            Fault::ListTooManyRequests { retry_after_s } => {
                Some(Refusal { retry_after_s, ..Refusal::of(20_429) })
            }
            _ => Some(Refusal::of(20_500)),
        }
    }

    /// Takes a text; `mount` comes before every path in what is answered.
    pub(crate) fn accept(&self, draft: Draft, mount: &str) -> Result<Taken, Refusal> {
        let only_known = self.config().only_known_senders;
        let mut state = self.state();
        let from = state.sender(&draft, only_known).map_err(Refusal::of)?;
        let fate = state.fate(&draft, &from).map_err(Refusal::of)?;
        let status = if draft.sender.from.is_none() { Status::Accepted } else { Status::Queued };
        let answer = match state.fault(Stage::Answering, &from, &draft.to) {
            Some(Fault::ErrorAfterAccepting) => Answered::Error,
            Some(Fault::HangAfterAccepting) => Answered::Hung,
            Some(Fault::ResetAfterAccepting) => Answered::Reset,
            Some(Fault::TruncatedAnswer) => Answered::Truncated,
            Some(Fault::GarbledAnswer) => Answered::Garbled,
            _ => Answered::Created,
        };
        let mut message = Message::new(state.envelope(draft, from), status, fate);
        message.listed_from = state.listed_from(&message);
        let resource = message.resource(mount);
        let first_callback = state.hurry(&mut message);
        state.record(&message, answer);
        let place = state.keep(message);
        let first_step = match first_callback {
            Some(_) => Instant::now(),
            None => Instant::now() + state.within(self.config().lifecycle.after_accepting(status)),
        };
        drop(state);
        self.steps().push(first_step, place);
        Ok(Taken { resource, answer, first_callback })
    }

    /// Counts a refusal.
    pub(crate) fn note_refusal(&self, refusal: Refusal) {
        *self.state().ledger.refused.entry(refusal.code).or_default() += 1;
    }
}

impl State {
    pub(crate) fn fault(&mut self, stage: Stage, from: &Address, to: &Address) -> Option<Fault> {
        self.faults.one(&Case { stage, from, to, status: None })
    }

    /// The number a text leaves from. A number of another account is nobody's to use.
    fn sender(&self, draft: &Draft, only_known: bool) -> Result<Address, u32> {
        let Some(from) = &draft.sender.from else {
            let service = draft.sender.service.as_deref();
            let mut pool: Vec<_> = self
                .lines
                .values()
                .filter(|line| line.account_sid == draft.account)
                .filter(|line| line.messaging_service_sid.as_deref() == service)
                .map(|line| &line.number)
                .collect();
            pool.sort();
            return pool.first().map(|&number| number.clone()).ok_or(21_703);
        };
        if let Some(code) = magic::refused_sender(from.reveal()) {
            return Err(code);
        }
        match self.lines.get(from) {
            Some(line) if line.account_sid != draft.account => Err(21_606),
            None if only_known => Err(21_606),
            _ if *from == draft.to => Err(21_266),
            _ => Ok(from.clone()),
        }
    }

    /// How the text will end, or the code with which it is refused.
    fn fate(&mut self, draft: &Draft, from: &Address) -> Result<Fate, u32> {
        if let Some(code) = magic::refused_recipient(draft.to.reveal()) {
            return Err(code);
        }
        let line = self.lines.get(from);
        if self.opt_outs.contains(&Scope::of(from, line), &draft.to) {
            let is_asynchronous = line.is_some_and(|line| line.advanced_opt_out);
            return if is_asynchronous { Ok(Fate::Failed(21_610)) } else { Err(21_610) };
        }
        match self.fault(Stage::Ending, from, &draft.to) {
            Some(Fault::FailDelivery { status: FailedStatus::Failed, code }) => Ok(Fate::Failed(code)),
            Some(Fault::FailDelivery { status: FailedStatus::Undelivered, code }) => {
                Ok(Fate::Undelivered(code))
            }
            _ => Ok(magic::fate(draft.to.reveal())),
        }
    }

    fn envelope(&mut self, draft: Draft, from: Address) -> Envelope {
        let media = draft.media.into_iter().map(|url| Media { url, content_type: String::new() });
        let media: Vec<_> = media.collect();
        Envelope {
            sid: self.new_sid(!media.is_empty()),
            account: draft.account,
            service: draft.sender.service,
            direction: Direction::OutboundApi,
            from,
            to: draft.to,
            body: draft.body,
            media,
            status_callback: draft.status_callback,
            created: Utc::now(),
        }
    }

    /// When lists begin to show a text.
    fn listed_from(&mut self, message: &Message) -> DateTime<Utc> {
        let it = &message.envelope;
        let created = it.created;
        match self.fault(Stage::Shelving, &it.from, &it.to) {
            Some(Fault::LateOnList { after_ms }) => {
                let late = TimeDelta::milliseconds(i64::try_from(after_ms).unwrap_or(i64::MAX / 1_000));
                created.checked_add_signed(late).unwrap_or(DateTime::<Utc>::MAX_UTC)
            }
            Some(Fault::MissingFromList) => DateTime::<Utc>::MAX_UTC,
            _ => created,
        }
    }

    /// Where a fault wants the first callback delivered before the answer, prepares to wait for it.
    fn hurry(&mut self, message: &mut Message) -> Option<oneshot::Receiver<()>> {
        let envelope = &message.envelope;
        envelope.status_callback.as_ref()?;
        self.fault(Stage::Hurrying, &envelope.from, &envelope.to)?;
        let (sender, receiver) = oneshot::channel();
        message.first_callback = Some(sender);
        Some(receiver)
    }

    fn record(&mut self, message: &Message, answered: Answered) {
        let it = &message.envelope;
        self.ledger.sends.write(|entry| SendEntry {
            entry,
            sid: it.sid,
            account_sid: it.account.clone(),
            from: it.from.clone(),
            to: it.to.clone(),
            body: it.body.clone(),
            status_callback: it.status_callback.clone(),
            accepted_at: it.created,
            answered,
        });
    }
}
