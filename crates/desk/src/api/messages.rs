//! Texts that are held: a person says what becomes of them.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use casewire_domain::MessageId;
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::settle::Verdict;
use casewire_store::Store;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::MessageBody;
use super::cases::{fresh, parse, unexpected};
use super::fields::Fields;
use crate::Config;
use crate::auth::Caller;
use crate::live::Live;
use crate::problem::{Problem, ProblemBody};

/// What becomes of a held text.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the shape told in the description; fields are read by name")]
pub(crate) struct MessageChange {
    /// `arrived`: the customer has it, nothing more is waited for. `send_again`: it is sent once more, which texts
    /// them twice if they have it. `do_not_send`: it is given up.
    #[schema(example = "arrived")]
    verdict: String,
}

/// Decides about a text of which nobody knows whether Twilio took it, once Twilio's list did not tell either.
#[utoipa::path(patch, path = "/api/v1/cases/{number}/messages/{id}", tag = "cases", request_body = MessageChange, params(
    ("number" = String, Path, description = "Eight digits", example = "00001001"),
    ("id" = String, Path, description = "The text's id"),
), responses(
    (status = 200, description = "The text", body = MessageBody),
    (status = 401, description = "No valid token", body = ProblemBody),
    (status = 404, description = "No case has this number, or it has no such text", body = ProblemBody),
    (status = 409, description = "The text is not held (any more), or must not be sent", body = ProblemBody),
    (status = 422, description = "A field is wrong", body = ProblemBody),
))]
pub(crate) async fn resolve(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Payload,
    caller: Caller,
    store: Data<Store>,
    live: Data<Live>,
    config: Data<Config>,
) -> Result<HttpResponse, Problem> {
    let (number, id) = path.into_inner();
    let case = parse(&number)?;
    let message_id: MessageId = id.parse().map_err(|_| Problem::NoSuchMessage)?;
    let mut fields = Fields::of_body(&request, body, config.body).await?;
    let verdict = fields.parsed("verdict", Verdict::parse, "must be arrived, send_again or do_not_send");
    fields.finish()?;
    // Without a verdict `finish` has told so already.
    let verdict = verdict.ok_or(Problem::Invalid(Vec::new()))?;
    let command = Command::Resolve { case, message_id, verdict, actor: caller.actor() };
    match store.handle_one(command).await? {
        Outcome::Resolved => live.queued(),
        Outcome::Refused(refusal) => return Err(refusal.into()),
        other => return Err(unexpected(&other)),
    }
    let text = store.message(message_id).await?.ok_or(Problem::NoSuchMessage)?;
    Ok(fresh(&MessageBody::of(&text, case)))
}
