//! Cases, texts and events as the API tells them. These hold what people wrote, so they have no `Debug`.

use casewire_domain::case::Case;
use casewire_domain::contact::Contact;
use casewire_domain::message::{Direction, Message, Why};
use casewire_domain::outbox::OutboxState;
use casewire_domain::{CaseNumber, DeliveryStatus};
use casewire_store::view::{CaseSummary, CaseView, MessageView, Page, TrailView};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::query::cursor_text;
use crate::{segments, words};

/// A page of cases.
#[derive(Serialize, ToSchema)]
pub struct CaseList {
    /// The cases, the one that changed last first.
    items: Vec<CaseItem>,
    /// Give it as `after` to get the next page; null on the last.
    next: Option<String>,
}

/// A case in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct CaseItem {
    #[serde(flatten)]
    case: CaseHead,
    /// Its newest text.
    last_message: Option<LastMessage>,
}

/// One case with everything in it.
#[derive(Serialize, ToSchema)]
pub struct CaseBody {
    #[serde(flatten)]
    case: CaseHead,
    /// Whether the contact has opted out of texts on the line: replies are refused until they text START.
    opted_out: bool,
    /// Its texts, by the time they were received or written.
    messages: Vec<MessageBody>,
    /// What happened to it, oldest first.
    events: Vec<EventBody>,
}

/// What every view of a case begins with.
#[derive(Serialize, ToSchema)]
pub(crate) struct CaseHead {
    /// Eight digits, by which people name the case.
    #[schema(example = "00001001")]
    number: String,
    /// `open`, `pending` or `closed`.
    #[schema(example = "open")]
    status: &'static str,
    /// The beginning of its first text.
    #[schema(example = "my heater is broken")]
    subject: String,
    contact: ContactBody,
    /// The webhook id of the line.
    #[schema(example = "demo")]
    line: String,
    /// When its first text was received.
    opened_at: DateTime<Utc>,
    /// When something last happened to it.
    updated_at: DateTime<Utc>,
    /// When it was closed, while it is.
    closed_at: Option<DateTime<Utc>>,
}

/// A person.
#[derive(Serialize, ToSchema)]
pub(crate) struct ContactBody {
    id: String,
    #[schema(example = "SMS from Seattle, WA")]
    name: String,
    /// Where they are reached, usually a number in E.164.
    #[schema(example = "+12065550100")]
    address: String,
    /// Generated from the address.
    email: String,
}

/// The newest text of a case.
#[derive(Serialize, ToSchema)]
pub(crate) struct LastMessage {
    /// `inbound` from the customer, `outbound` to them.
    direction: &'static str,
    body: String,
    received_at: DateTime<Utc>,
}

/// One text.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageBody {
    id: String,
    /// `inbound` from the customer, `outbound` to them.
    direction: &'static str,
    /// `received` for a customer's text. For one of ours: `queued`, `sending`, `sent`, `delivered`, `read`,
    /// `undelivered`, `failed`, `canceled`, or `uncertain` while nobody knows whether it was sent.
    #[schema(example = "delivered")]
    status: &'static str,
    body: String,
    /// When it reached us, or was written.
    received_at: DateTime<Utc>,
    /// Whether no person wrote it.
    automatic: bool,
    /// Who wrote a reply: `agent:` and the name of the token.
    author: Option<String>,
    /// The provider's error code.
    error_code: Option<u32>,
    /// What went wrong and what to do about it.
    error: Option<String>,
    /// Whether a person must decide what becomes of an `uncertain` text: see
    /// `PATCH /cases/{number}/messages/{id}`.
    held: bool,
    /// How many segments the text takes.
    segments: u32,
    /// Files that came with it.
    media: Vec<MediaBody>,
    why: WhyBody,
}

/// A file that came with a text.
#[derive(Serialize, ToSchema)]
pub(crate) struct MediaBody {
    /// Where the provider keeps it; reading it takes the account's credentials.
    url: String,
    #[schema(example = "image/jpeg")]
    content_type: String,
}

/// Why a text is where it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct WhyBody {
    /// The rule that placed it.
    #[schema(example = "joined_current")]
    rule: Value,
    /// The same in words.
    words: String,
    /// Case numbers in the text that were not followed.
    passed_over: Vec<PassedOverBody>,
}

/// A case number in a text that was not followed.
#[derive(Serialize, ToSchema)]
pub(crate) struct PassedOverBody {
    #[schema(example = "00001002")]
    number: String,
    /// Why not.
    #[schema(example = "not_a_participant")]
    because: Value,
    /// The same in words.
    words: String,
}

/// Something that happened to a case.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventBody {
    /// Its place in the trail: give it as `after` to `/events`.
    pub(super) id: i64,
    /// The case.
    #[schema(example = "00001001")]
    case: String,
    at: DateTime<Utc>,
    /// `customer`, `casewire`, `provider`, or `agent:` and a name.
    actor: String,
    #[schema(example = "case_opened")]
    kind: String,
    /// The same in words.
    words: String,
    /// For what stands out, the reason in words.
    reason: Option<&'static str>,
    /// The text it is about.
    message: Option<String>,
    /// The reason as the rules give it.
    why: Value,
    /// What changed.
    change: Value,
}

impl From<Page> for CaseList {
    fn from(page: Page) -> Self {
        Self { items: page.items.into_iter().map(CaseItem::from).collect(), next: page.next.map(cursor_text) }
    }
}

impl From<CaseSummary> for CaseItem {
    fn from(summary: CaseSummary) -> Self {
        let last_message = summary.last_message.map(|last| LastMessage {
            direction: last.direction.as_str(),
            body: last.body.reveal().to_owned(),
            received_at: last.received_at,
        });
        Self { case: head(&summary.case, &summary.contact, summary.line), last_message }
    }
}

impl From<CaseView> for CaseBody {
    fn from(view: CaseView) -> Self {
        let number = view.case.number;
        Self {
            case: head(&view.case, &view.contact, view.line),
            opted_out: view.opted_out,
            messages: view.messages.iter().map(|it| MessageBody::of(it, number)).collect(),
            events: view.trail.into_iter().map(EventBody::from).collect(),
        }
    }
}

fn head(case: &Case, contact: &Contact, line: String) -> CaseHead {
    CaseHead {
        number: case.number.to_string(),
        status: case.status.as_str(),
        subject: case.subject.reveal().to_owned(),
        contact: ContactBody {
            id: contact.id.to_string(),
            name: contact.name.reveal().to_owned(),
            address: contact.address.reveal().to_owned(),
            email: contact.email.reveal().to_owned(),
        },
        line,
        opened_at: case.opened_at,
        updated_at: case.updated_at,
        closed_at: case.closed_at,
    }
}

const UNCERTAIN: &str = "Twilio gave no clear answer, so nobody knows yet whether this was sent. casewire asks Twilio, \
     and does not send it again meanwhile, since that could text them twice.";

const HELD: &str = "Twilio gave no clear answer, and its list of messages does not settle whether this was sent. It is \
     not sent again by itself, since that could text them twice: say whether it arrived, or what to do.";

impl MessageBody {
    /// A text as it stands now, in this case.
    pub(super) fn of(view: &MessageView, case: CaseNumber) -> Self {
        let message = &view.message;
        let body = Self::as_written(message, case);
        if message.direction == Direction::Inbound {
            return body;
        }
        let status = message.progress.status();
        let error_code = message.progress.error_code();
        match view.outbox {
            Some(OutboxState::Uncertain) => {
                let words = if view.held { HELD } else { UNCERTAIN };
                Self { status: "uncertain", error: Some(words.into()), held: view.held, ..body }
            }
            Some(OutboxState::Sending) if status == DeliveryStatus::Queued => {
                Self { status: "sending", ..body }
            }
            _ => {
                Self { status: status.as_str(), error_code, error: words::error(status, error_code), ..body }
            }
        }
    }

    /// A text as it was when it was written: the same whenever it is asked for.
    pub(super) fn as_written(message: &Message, case: CaseNumber) -> Self {
        let inbound = message.direction == Direction::Inbound;
        let media = message.media.iter();
        Self {
            id: message.id.to_string(),
            direction: message.direction.as_str(),
            status: if inbound { "received" } else { DeliveryStatus::Queued.as_str() },
            body: message.body.reveal().to_owned(),
            received_at: message.received_at,
            automatic: message.automatic,
            author: message.author.clone(),
            error_code: None,
            error: None,
            held: false,
            segments: segments::count(message.body.reveal()),
            media: media
                .map(|it| MediaBody { url: it.url.clone(), content_type: it.content_type.clone() })
                .collect(),
            why: why(&message.why, case),
        }
    }
}

fn why(why: &Why, case: CaseNumber) -> WhyBody {
    let passed_over = why.passed_over.iter().map(|it| PassedOverBody {
        number: it.number.to_string(),
        because: serde_json::json!(it.because),
        words: words::passed_over(*it),
    });
    WhyBody {
        rule: serde_json::json!(why.rule),
        words: words::rule(why.rule, case),
        passed_over: passed_over.collect(),
    }
}

impl From<TrailView> for EventBody {
    fn from(entry: TrailView) -> Self {
        Self {
            id: entry.id,
            case: entry.case.to_string(),
            at: entry.at,
            words: words::said(&entry.kind, &entry.actor, &entry.change),
            reason: words::reason(&entry.kind, &entry.why),
            message: entry.change["message"].as_str().map(str::to_owned),
            actor: entry.actor,
            kind: entry.kind,
            why: entry.why,
            change: entry.change,
        }
    }
}
