//! Cases: listing, looking, replying, closing and reopening.

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use casewire_domain::case::CaseStatus;
use casewire_domain::command::{Command, Reply};
use casewire_domain::decide::{Outcome, Refusal};
use casewire_domain::{CaseNumber, MessageId, Text};
use casewire_runtime::telemetry::trace;
use casewire_store::Store;
use serde::Deserialize;
use tracing::Span;
use utoipa::ToSchema;

use super::body::{CaseBody, CaseList, MessageBody};
use super::fields::{Fields, TWICE};
use super::query::{ListParameters, ListQuery};
use crate::Config;
use crate::auth::Caller;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::problem::{Problem, ProblemBody};

/// Longest text the provider takes, in characters.
const LONGEST_TEXT: usize = 1600;
/// The header by which a reply is sent once.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Longest idempotency key: a UUID or a hash, and room for a caller's own scheme.
const LONGEST_KEY: usize = 200;

/// A reply to send.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the shape told in the description; fields are read by name")]
pub(crate) struct ReplyRequest {
    /// What to send, at most 1,600 characters.
    #[schema(example = "We are on our way.")]
    body: String,
}

/// What to change about a case.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the shape told in the description; fields are read by name")]
pub(crate) struct CaseChange {
    /// `closed` closes it, `open` reopens it, `pending` sets it aside.
    #[schema(example = "closed")]
    status: String,
}

/// Lists cases, the one that changed last first.
#[utoipa::path(get, path = "/api/v1/cases", tag = "cases", params(ListParameters), responses(
    (status = 200, description = "A page of cases", body = CaseList),
    (status = 401, description = "No valid token", body = ProblemBody),
    (status = 422, description = "A parameter is wrong", body = ProblemBody),
))]
pub(crate) async fn list(
    request: HttpRequest,
    _: Caller,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let query = ListQuery::parse(request.query_string())?;
    let page = store.list_cases(&query.filter, query.limit, query.after).await?;
    Ok(fresh(&CaseList::from(page)))
}

/// One case with its texts and its trail.
#[utoipa::path(get, path = "/api/v1/cases/{number}", tag = "cases",
    params(("number" = String, Path, description = "Eight digits", example = "00001001")), responses(
    (status = 200, description = "The case", body = CaseBody),
    (status = 401, description = "No valid token", body = ProblemBody),
    (status = 404, description = "No case has this number", body = ProblemBody),
))]
pub(crate) async fn show(
    number: Path<String>,
    _: Caller,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    Ok(fresh(&case(&store, parse(&number)?).await?))
}

/// Replies to a case. The text is queued, and its status tells how far it has come.
#[utoipa::path(post, path = "/api/v1/cases/{number}/replies", tag = "cases", request_body = ReplyRequest, params(
    ("number" = String, Path, description = "Eight digits", example = "00001001"),
    ("Idempotency-Key" = Option<String>, Header, description = "With the same key the same reply is sent once, \
        however often it is asked for, and the answer is the same"),
), responses(
    (status = 201, description = "The text, queued", body = MessageBody),
    (status = 401, description = "No valid token", body = ProblemBody),
    (status = 404, description = "No case has this number", body = ProblemBody),
    (status = 409, description = "The contact has opted out, or cannot be texted", body = ProblemBody),
    (status = 422, description = "The text is empty or too long, or the key came with another reply", body = ProblemBody),
))]
pub(crate) async fn reply(
    request: HttpRequest,
    number: Path<String>,
    body: Payload,
    caller: Caller,
    store: Data<Store>,
    live: Data<Live>,
    config: Data<Config>,
) -> Result<HttpResponse, Problem> {
    let case = parse(&number)?;
    let mut fields = Fields::of_body(&request, body, config.body).await?;
    let text = fields.text("body");
    let idempotency_key = idempotency_key(&request, &mut fields);
    let text = text.inspect(|text| check(text, &mut fields));
    fields.finish()?;
    let body = Text::new(text.unwrap_or_default());
    let trace = trace::parent_of(&Span::current());
    let command = Command::Reply(Reply { case, body, author: caller.actor(), idempotency_key, trace });
    let message = match store.handle_one(command).await? {
        Outcome::Replied { message_id, repeated: true } => message_id,
        Outcome::Replied { message_id, repeated: false } => {
            first_reply(&store, live.metrics(), message_id).await;
            message_id
        }
        Outcome::Refused(refusal) => return Err(refusal.into()),
        other => return Err(unexpected(&other)),
    };
    live.queued();
    Ok(HttpResponse::Created().json(written(&store, message, case).await?))
}

/// Closes a case, reopens it, or sets it aside.
#[utoipa::path(patch, path = "/api/v1/cases/{number}", tag = "cases", request_body = CaseChange,
    params(("number" = String, Path, description = "Eight digits", example = "00001001")), responses(
    (status = 200, description = "The case", body = CaseBody),
    (status = 401, description = "No valid token", body = ProblemBody),
    (status = 404, description = "No case has this number", body = ProblemBody),
    (status = 422, description = "A field is wrong", body = ProblemBody),
))]
pub(crate) async fn set_status(
    request: HttpRequest,
    number: Path<String>,
    body: Payload,
    caller: Caller,
    store: Data<Store>,
    live: Data<Live>,
    config: Data<Config>,
) -> Result<HttpResponse, Problem> {
    let number = parse(&number)?;
    let mut fields = Fields::of_body(&request, body, config.body).await?;
    let status = fields.parsed("status", CaseStatus::parse, "must be open, pending or closed");
    fields.finish()?;
    // Without a status `finish` has told so already.
    let status = status.ok_or(Problem::Invalid(Vec::new()))?;
    let command = Command::SetStatus { case: number, status, actor: caller.actor() };
    match store.handle_one(command).await? {
        Outcome::StatusSet => live.hint(),
        Outcome::Refused(refusal) => return Err(refusal.into()),
        other => return Err(unexpected(&other)),
    }
    Ok(fresh(&case(&store, number).await?))
}

/// Counts a reply that is the first in its case. The reply is queued whatever becomes of the look.
async fn first_reply(store: &Store, metrics: &Metrics, reply: MessageId) {
    match store.first_reply_after(reply).await {
        Ok(after) => after.into_iter().for_each(|after| metrics.first_reply(after)),
        Err(error) => tracing::debug!(event = "first_reply_unread", %error, "a reply is not counted"),
    }
}

/// An answer that is only true now.
pub(super) fn fresh(body: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

pub(super) fn parse(number: &str) -> Result<CaseNumber, Problem> {
    number.parse().map_err(|_| Problem::NoSuchCase)
}

async fn case(store: &Store, number: CaseNumber) -> Result<CaseBody, Problem> {
    store.case(number).await?.map(CaseBody::from).ok_or(Problem::NoSuchCase)
}

/// The text as it was written, whatever has become of it since: so that an answer can be repeated.
async fn written(store: &Store, id: MessageId, case: CaseNumber) -> Result<MessageBody, Problem> {
    let found = store.message(id).await?.ok_or(Problem::Internal)?;
    Ok(MessageBody::as_written(&found.message, case))
}

fn check(text: &str, fields: &mut Fields) {
    if text.trim().is_empty() {
        fields.wrong("body", "is empty");
    }
    if text.chars().count() > LONGEST_TEXT {
        fields.wrong("body", "is longer than 1600 characters");
    }
    if text.contains('\0') {
        fields.wrong("body", "holds U+0000, which no text can carry");
    }
}

fn idempotency_key(request: &HttpRequest, fields: &mut Fields) -> Option<String> {
    let mut all = request.headers().get_all(IDEMPOTENCY_KEY);
    let given = all.next()?;
    if all.next().is_some() {
        fields.wrong(IDEMPOTENCY_KEY, TWICE);
        return None;
    }
    let key = given.to_str().ok().map(str::trim);
    let key = key.filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    if key.is_none() {
        fields.wrong(IDEMPOTENCY_KEY, "must be 1 to 200 printable ASCII characters");
    }
    key.map(str::to_owned)
}

pub(super) fn unexpected(outcome: &Outcome) -> Problem {
    tracing::error!(event = "unexpected_outcome", ?outcome, "a command of the desk came to something else");
    Problem::Internal
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchCase => Self::NoSuchCase,
            Refusal::OptedOut => Self::OptedOut,
            Refusal::Unreachable => Self::Unreachable,
            Refusal::LineRemoved => Self::LineRemoved,
            Refusal::KeyReused => Self::KeyReused,
            Refusal::NoSuchMessage => Self::NoSuchMessage,
            Refusal::NotHeld => Self::NotHeld,
            Refusal::StillSettling => Self::StillSettling,
        }
    }
}
