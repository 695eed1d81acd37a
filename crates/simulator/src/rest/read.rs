//! Fetching, listing and deleting messages.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use casewire_domain::Address;
use casewire_twilio::parameters::Parameters;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::message::{API_VERSION, Key, Message};
use crate::refusal::Refusal;
use crate::rest::filter::DateSent;
use crate::rest::{auth, mount};
use crate::sid::{AccountSid, Sid};
use crate::simulator::Simulator;
use crate::state::State;

/// Messages on a page unless asked for otherwise, and at most. Source: Message resource.
const PAGE: usize = 50;
const PAGE_MAX: usize = 1_000;

pub(super) async fn fetch(request: HttpRequest, simulator: Data<Simulator>) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    let state = simulator.state();
    let (_, message) = state.find(&account, sid(&request)?).ok_or(Refusal::of(20_404))?;
    Ok(HttpResponse::Ok().json(message.resource(mount(&request))))
}

pub(super) async fn delete(
    request: HttpRequest,
    simulator: Data<Simulator>,
) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    match simulator.state().delete(&account, sid(&request)?) {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Refusal::of(20_404)),
    }
}

/// The files of a message. Source: Media list in Twilio's OpenAPI.
pub(super) async fn media(request: HttpRequest, simulator: Data<Simulator>) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    let state = simulator.state();
    let (_, message) = state.find(&account, sid(&request)?).ok_or(Refusal::of(20_404))?;
    Ok(HttpResponse::Ok().json(message.files(mount(&request))))
}

fn sid(request: &HttpRequest) -> Result<Sid, Refusal> {
    let sid = request.match_info().get("sid").and_then(|sid| sid.parse().ok());
    sid.ok_or(Refusal::of(20_404))
}

pub(super) async fn list(request: HttpRequest, simulator: Data<Simulator>) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    let asked = Parameters::parse(request.query_string().as_bytes(), simulator.config().parameters_max);
    let asked = asked.map_err(|_| Refusal::of(20_001))?;
    let query = Query::read(&asked)?;
    let address = |name| Address::from_stored(asked.get(name).unwrap_or_default());
    if let Some(refusal) = simulator.list_refusal_by_fault(&address("From"), &address("To")) {
        return Err(refusal);
    }
    let mount = mount(&request);
    let (messages, more) = query.page(&simulator.state(), &account, mount);
    let path = format!("{mount}/{API_VERSION}/Accounts/{account}/Messages.json");
    let uri = |page: u64, token: Option<u64>| format!("{path}?{}", again(&asked, &query, page, token));
    let page = query.page;
    Ok(HttpResponse::Ok().json(json!({
        "uri": uri(page, query.below),
        "first_page_uri": uri(0, None),
        "next_page_uri": more.map(|below| uri(page + 1, Some(below))),
        // Twilio has one; casewire never goes back, and the token of the page before is not kept.
        "previous_page_uri": Value::Null,
        "page": page,
        "page_size": query.size,
        "start": page * query.size as u64,
        "end": (page * query.size as u64 + messages.len() as u64).saturating_sub(1),
        "messages": messages,
    })))
}

/// What is asked of a list.
struct Query {
    to: Option<Address>,
    from: Option<Address>,
    sent: DateSent,
    size: usize,
    page: u64,
    below: Option<u64>,
    now: DateTime<Utc>,
}

impl Query {
    fn read(asked: &Parameters) -> Result<Self, Refusal> {
        let number = |name| match asked.filled(name).map(str::parse::<u64>) {
            Some(Err(_)) => Err(Refusal::of(20_001)),
            Some(Ok(number)) => Ok(Some(number)),
            None => Ok(None),
        };
        let size = number("PageSize")?.map_or(PAGE, |size| usize::try_from(size).unwrap_or(PAGE_MAX));
        Ok(Self {
            to: asked.filled("To").map(Address::from_stored),
            from: asked.filled("From").map(Address::from_stored),
            sent: DateSent::read(asked).ok_or(Refusal::of(20_001))?,
            size: size.clamp(1, PAGE_MAX),
            page: number("Page")?.unwrap_or(0),
            below: asked
                .filled("PageToken")
                .map(|token| read_token(token).ok_or(Refusal::of(20_001)))
                .transpose()?,
            now: Utc::now(),
        })
    }

    /// The messages of this page, newest first, and where the next one starts.
    fn page(&self, state: &State, account: &AccountSid, mount: &str) -> (Vec<Value>, Option<u64>) {
        let key = self.key(state, account);
        let mut fitting = state
            .messages
            .newest_first(&key, self.below.unwrap_or(u64::MAX))
            .filter(|(_, message)| self.fits(message));
        let page: Vec<_> = fitting.by_ref().take(self.size).collect();
        let more = fitting.next().and_then(|_| page.last().map(|(place, _)| *place));
        (page.iter().map(|(_, message)| message.resource(mount)).collect(), more)
    }

    /// The key with the fewest messages to look through.
    fn key(&self, state: &State, account: &AccountSid) -> Key {
        let to = self.to.clone().map(|to| Key::To(account.clone(), to));
        let from = self.from.clone().map(|from| Key::From(account.clone(), from));
        let all = Key::Account(account.clone());
        to.into_iter().chain(from).min_by_key(|key| state.messages.count(key)).unwrap_or(all)
    }

    fn fits(&self, message: &Message) -> bool {
        let it = &message.envelope;
        self.to.as_ref().is_none_or(|to| *to == it.to)
            && self.from.as_ref().is_none_or(|from| *from == it.from)
            && self.sent.includes(message.sent)
            && message.listed_from <= self.now
    }
}

/// The same question for another page.
fn again(asked: &Parameters, query: &Query, page: u64, below: Option<u64>) -> String {
    let kept = asked.iter().filter(|(name, _)| !["PageSize", "Page", "PageToken"].contains(name));
    let mut uri = form_urlencoded::Serializer::new(String::new());
    uri.extend_pairs(kept);
    uri.append_pair("PageSize", &query.size.to_string());
    uri.append_pair("Page", &page.to_string());
    if let Some(below) = below {
        uri.append_pair("PageToken", &format!("PA{below:032x}"));
    }
    uri.finish()
}

fn read_token(token: &str) -> Option<u64> {
    u64::from_str_radix(token.strip_prefix("PA")?, 16).ok()
}
