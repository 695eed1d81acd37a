//! A text from a handset to a line: Twilio's own answers to keywords, and the webhook.

use std::sync::Arc;

use casewire_domain::{Address, Keyword, Media, Region, Text};
use casewire_twilio::parameters::Parameters;
use chrono::Utc;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::account::{Account, Line, Method};
use crate::faults::{Fault, Stage};
use crate::handset::{HandsetDirection, Origin};
use crate::message::{Direction, Envelope, Fate, Message, Status};
use crate::sid::{AccountSid, Sid};
use crate::simulator::Simulator;
use crate::state::{Shown, State};
use crate::webhook::{self, Outcome};

/// Longest text from a handset, in characters. (Twilio's limit may count UTF-16 units; a receiver should
/// bear the longer ones.)
const BODY_MAX: usize = 1_600;

/// A text a person sends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandsetDraft {
    /// Whose phone; as people type it.
    pub from: Address,
    /// Which line; as people type it.
    pub to: Address,
    /// The words; may be empty with a picture.
    #[serde(default)]
    pub body: Text,
    /// Pictures.
    #[serde(default)]
    pub media: Vec<Media>,
    /// Whose line it is, where the line is not known.
    #[serde(default)]
    pub account_sid: Option<AccountSid>,
    /// Where its webhook goes, instead of where the line says.
    #[serde(default)]
    pub webhook_url: Option<String>,
    /// What signs it, where the account is not known.
    #[serde(default)]
    pub auth_token: Option<SecretString>,
    /// Its id, to send the same text again; a new one when not given.
    #[serde(default)]
    pub message_sid: Option<Sid>,
}

impl HandsetDraft {
    /// A text in words from a handset to a line.
    pub fn new(from: Address, to: Address, body: impl Into<String>) -> Self {
        Self {
            from,
            to,
            body: Text::new(body),
            media: Vec::new(),
            account_sid: None,
            webhook_url: None,
            auth_token: None,
            message_sid: None,
        }
    }
}

/// What became of a text from a handset.
#[derive(Clone, Debug, Serialize)]
pub struct SentText {
    /// Its id.
    pub sid: Sid,
    /// How many segments it took.
    pub segments: usize,
    /// What it was to Twilio, which then answered by itself: `stop`, `start` or `help`.
    pub keyword: Option<&'static str>,
    /// Whether the line's owner answered 2xx.
    pub taken: bool,
    /// What became of its webhook; more than one when a fault duplicates it.
    pub webhooks: Vec<Outcome>,
    /// What became of the fallback webhook, when it was called.
    pub fallback: Option<Outcome>,
}

/// Why a text cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Final.
    #[error("the sender or the line is no address")]
    Address,
    /// Final.
    #[error("a text has at most {BODY_MAX} characters")]
    TooLong,
    /// Final until the line is made known.
    #[error("no line has this number; register it, or give webhook_url and account_sid")]
    UnknownLine,
    /// Final until the account is made known.
    #[error("no auth token is known for the line's account; register it, or give auth_token")]
    UnknownAccount,
    /// Try again later.
    #[error("too many texts are waiting for their webhook")]
    Busy,
    /// Try again once `Simulator::run` runs.
    #[error("the simulator is not running")]
    NotRunning,
}

/// A webhook for a text, on its way.
pub(crate) struct TextJob {
    pub(crate) text: Arc<Envelope>,
    pub(crate) keyword: Option<Keyword>,
    pub(crate) parameters: Parameters,
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) fallback_url: Option<String>,
    pub(crate) token: SecretString,
    pub(crate) copies: usize,
    pub(crate) answer: oneshot::Sender<SentText>,
}

impl Simulator {
    /// Sends a text from a handset to a line and waits for what becomes of its webhook.
    pub async fn send_text(&self, draft: HandsetDraft) -> Result<SentText, TextError> {
        self.start_text(draft)?.await.map_err(|_| TextError::NotRunning)
    }

    /// A text of ours that arrived at one of our own lines.
    pub(crate) fn relay(&self, text: &Envelope) {
        let mut draft = HandsetDraft::new(text.from.clone(), text.to.clone(), text.body.reveal());
        draft.media.clone_from(&text.media);
        if let Err(error) = self.start_text(draft) {
            tracing::warn!(%error, "a text from one line to another was lost");
        }
    }

    fn start_text(&self, mut draft: HandsetDraft) -> Result<oneshot::Receiver<SentText>, TextError> {
        draft.from = Address::parse(draft.from.reveal(), Region::US).map_err(|_| TextError::Address)?;
        draft.to = Address::parse(draft.to.reveal(), Region::US).map_err(|_| TextError::Address)?;
        if draft.body.reveal().chars().count() > BODY_MAX {
            return Err(TextError::TooLong);
        }
        if !self.is_running() {
            return Err(TextError::NotRunning);
        }
        if self.texts().unfinished() >= self.config().texts_waiting {
            return Err(TextError::Busy);
        }
        let (answer, receiver) = oneshot::channel();
        let job = self.state().text(draft, answer)?;
        self.tell_handsets();
        self.texts().push(Instant::now(), job);
        Ok(receiver)
    }
}

impl State {
    /// Notes a text that was sent, answers it where it is a keyword, and prepares its webhook.
    fn text(&mut self, draft: HandsetDraft, answer: oneshot::Sender<SentText>) -> Result<TextJob, TextError> {
        let line = self.line_of(&draft)?;
        let token = self.token_for(&line, draft.auth_token.as_ref()).ok_or(TextError::UnknownAccount)?;
        // One that a draft tells all of is known from then on: whoever asks for the account's numbers finds it.
        self.lines.entry(line.number.clone()).or_insert_with(|| line.clone());
        let sid = draft.message_sid.unwrap_or_else(|| self.new_sid(!draft.media.is_empty()));
        let text = Envelope {
            sid,
            account: line.account_sid.clone(),
            service: line.messaging_service_sid.clone(),
            direction: Direction::Inbound,
            from: draft.from,
            to: draft.to,
            body: draft.body,
            media: draft.media,
            status_callback: None,
            created: Utc::now(),
        };
        let is_new = self.place_of(sid).is_none();
        let keyword = if is_new { self.hear(&text, &line) } else { None };
        let copies = match self.fault(Stage::Webhook, &text.from, &text.to) {
            Some(Fault::DuplicateWebhooks { copies }) => copies as usize,
            _ => 0,
        };
        let parameters = webhook::inbound(&text, keyword.filter(|_| line.advanced_opt_out));
        let message = Message::new(text, Status::Received, Fate::Delivered);
        let text = Arc::clone(&message.envelope);
        if is_new {
            self.keep(message);
        }
        let Line { method, webhook_url: url, fallback_url, .. } = line;
        Ok(TextJob { text, keyword, parameters, method, url, fallback_url, token, copies, answer })
    }

    /// The line a text goes to, as far as the draft does not say otherwise.
    fn line_of(&self, draft: &HandsetDraft) -> Result<Line, TextError> {
        let known = self.lines.get(&draft.to).cloned();
        let mut line = match (known, &draft.webhook_url, &draft.account_sid) {
            (Some(line), ..) => line,
            (None, Some(url), Some(account)) => Line::new(draft.to.clone(), account.clone(), url),
            _ => return Err(TextError::UnknownLine),
        };
        if let Some(url) = &draft.webhook_url {
            line.webhook_url.clone_from(url);
        }
        if let Some(account) = &draft.account_sid {
            line.account_sid = account.clone();
        }
        Ok(line)
    }

    /// The token that signs; one that is given makes an unknown account known.
    fn token_for(&mut self, line: &Line, given: Option<&SecretString>) -> Option<SecretString> {
        if let Some(given) = given {
            let met = Account { auth_token: given.clone(), secondary_token: None, strict: false };
            self.accounts.entry(line.account_sid.clone()).or_insert(met);
            return Some(given.clone());
        }
        self.token(&line.account_sid)
    }

    /// Shows the text on its handset, and Twilio's own answer where it is a keyword.
    fn hear(&mut self, text: &Envelope, line: &Line) -> Option<Keyword> {
        let sent = Shown {
            id: text.sid,
            handset: &text.from,
            line: &text.to,
            direction: HandsetDirection::Sent,
            body: &text.body,
            media: &text.media,
            origin: Origin::Handset,
        };
        self.show(sent, text.created);
        let (keyword, answer) = self.opt_outs.hear(&text.from, &text.to, Some(line), text.body.reveal());
        if let Some(answer) = answer {
            let id = self.new_sid(false);
            let (direction, origin) = (HandsetDirection::Received, Origin::Keyword);
            let body = Text::new(answer);
            let (handset, line) = (&text.from, &text.to);
            self.show(Shown { id, handset, line, direction, body: &body, media: &[], origin }, text.created);
        }
        keyword
    }
}
