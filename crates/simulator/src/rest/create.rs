//! `POST …/Messages.json`: sending a text. Source: Message resource, and docs/api/errors for the refusals.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use casewire_domain::{Address, Text};
use casewire_twilio::parameters::Parameters;
use url::Url;

use crate::refusal::Refusal;
use crate::rest::{answer, auth, mount};
use crate::sending::{Draft, Sender};
use crate::sid::AccountSid;
use crate::simulator::Simulator;

/// Longest body, in UTF-16 units: Twilio documents 1,600 characters and that others than GSM-7 reach the
/// limit sooner, so the stand-in counts the stricter way.
const BODY_MAX: usize = 1_600;
/// Longest callback URL (21609).
const STATUS_CALLBACK_MAX: usize = 4_000;
/// Most media URLs.
const MEDIA_MAX: usize = 10;

pub(super) async fn create(
    request: HttpRequest,
    simulator: Data<Simulator>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    match take(&request, &simulator, body) {
        Ok(taken) => answer::give(&simulator, taken).await,
        Err(refusal) => {
            simulator.note_refusal(refusal);
            HttpResponse::from_error(refusal)
        }
    }
}

fn take(
    request: &HttpRequest,
    simulator: &Simulator,
    body: Result<Bytes, actix_web::Error>,
) -> Result<crate::sending::Taken, Refusal> {
    let account = auth::account(request, simulator)?;
    if !is_form(request) {
        return Err(Refusal::of(20_415));
    }
    let too_large = Refusal { status: 413, code: 20_001, retry_after_s: None };
    let body = body.map_err(|_| too_large)?;
    let parameters = Parameters::parse(&body, simulator.config().parameters_max);
    let parameters = parameters.map_err(|_| Refusal::of(20_001))?;
    let address = |name| Address::from_stored(parameters.get(name).unwrap_or_default());
    if let Some(refusal) = simulator.refusal_by_fault(&address("From"), &address("To")) {
        return Err(refusal);
    }
    let draft = draft(account, &parameters).map_err(Refusal::of)?;
    simulator.accept(draft, mount(request))
}

pub(super) fn is_form(request: &HttpRequest) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Reads what is asked for, or gives the code with which it is refused.
fn draft(account: AccountSid, asked: &Parameters) -> Result<Draft, u32> {
    let to = asked.filled("To").ok_or(21_604u32)?;
    if !is_number(to) {
        return Err(21_211);
    }
    let sender = sender(asked)?;
    let body = asked.get("Body").unwrap_or_default();
    let media: Vec<_> =
        asked.iter().filter(|(name, _)| *name == "MediaUrl").map(|(_, url)| url.to_owned()).collect();
    if body.is_empty() && media.is_empty() {
        return Err(21_602);
    }
    if body.encode_utf16().count() > BODY_MAX {
        return Err(21_617);
    }
    if media.len() > MEDIA_MAX || !media.iter().all(|url| is_web(url)) {
        return Err(21_620);
    }
    let status_callback = asked.filled("StatusCallback");
    if status_callback.is_some_and(|url| !is_callback(url)) {
        return Err(21_609);
    }
    Ok(Draft {
        account,
        sender,
        to: Address::from_stored(to),
        body: Text::new(body),
        media,
        status_callback: status_callback.map(str::to_owned),
    })
}

fn sender(asked: &Parameters) -> Result<Sender, u32> {
    let from = asked.filled("From");
    let service = asked.filled("MessagingServiceSid");
    match (from, service) {
        (None, None) => Err(21_603),
        (Some(from), _) if !is_sender(from) => Err(21_212),
        _ => Ok(Sender { from: from.map(Address::from_stored), service: service.map(str::to_owned) }),
    }
}

/// E.164, with or without a channel before it. A short code or a name cannot be texted.
fn is_number(text: &str) -> bool {
    let number = text.split_once(':').map_or(text, |(_, number)| number);
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// A number, a short code, or an alphanumeric name of at most eleven characters.
fn is_sender(text: &str) -> bool {
    let is_short_code = (3..=6).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    let is_name = (1..=11).contains(&text.len())
        && text.bytes().any(|letter| letter.is_ascii_alphabetic())
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b' ');
    is_number(text) || is_short_code || is_name
}

pub(super) fn is_web(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Underscores in the host are refused, as Twilio documents.
fn is_callback(url: &str) -> bool {
    url.len() <= STATUS_CALLBACK_MAX
        && is_web(url)
        && Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(|host| !host.contains('_')))
}
