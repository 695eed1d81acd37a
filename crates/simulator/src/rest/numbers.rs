//! The account's numbers and what they do with texts: list, fetch and update. Source: IncomingPhoneNumber resource.

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use casewire_twilio::parameters::Parameters;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::create::{is_form, is_web};
use crate::account::{Line, Method};
use crate::message::API_VERSION;
use crate::refusal::Refusal;
use crate::rest::{auth, mount};
use crate::sid::AccountSid;
use crate::simulator::Simulator;

/// Numbers on a page unless asked for otherwise.
const PAGE: usize = 50;

/// The numbers that fit, all on one page: whoever has more than a page of lines asks for one of them.
pub(super) async fn list(request: HttpRequest, simulator: Data<Simulator>) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    let asked = Parameters::parse(request.query_string().as_bytes(), simulator.config().parameters_max);
    let asked = asked.map_err(|_| Refusal::of(20_001))?;
    let size = asked.filled("PageSize").map_or(Ok(PAGE), str::parse).map_err(|_| Refusal::of(20_001))?;
    // As Twilio does, a part of a number finds it.
    let fits =
        |line: &Line| asked.filled("PhoneNumber").is_none_or(|part| line.number.reveal().contains(part));
    let mount = mount(&request);
    let lines = simulator.lines().into_iter().filter(|line| line.account_sid == account && fits(line));
    let numbers: Vec<_> = lines.take(size).map(|line| resource(&line, mount)).collect();
    let uri = format!(
        "{mount}/{API_VERSION}/Accounts/{account}/IncomingPhoneNumbers.json?{}",
        request.query_string()
    );
    Ok(HttpResponse::Ok().json(json!({
        "uri": uri, "first_page_uri": uri, "next_page_uri": Value::Null, "previous_page_uri": Value::Null,
        "page": 0, "page_size": size, "start": 0, "end": numbers.len().saturating_sub(1),
        "incoming_phone_numbers": numbers,
    })))
}

pub(super) async fn fetch(request: HttpRequest, simulator: Data<Simulator>) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    let line = find(&request, &simulator, &account)?;
    Ok(HttpResponse::Ok().json(resource(&line, mount(&request))))
}

/// Changes what is named and leaves the rest as it is.
pub(super) async fn update(
    request: HttpRequest,
    simulator: Data<Simulator>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let account = auth::account(&request, &simulator)?;
    if !is_form(&request) {
        return Err(Refusal::of(20_415));
    }
    let asked = Parameters::parse(&body, simulator.config().parameters_max);
    let asked = asked.map_err(|_| Refusal::of(20_001))?;
    let mut line = find(&request, &simulator, &account)?;
    if let Some(url) = asked.get("SmsUrl") {
        line.webhook_url = web_or_nothing(url)?.to_owned();
    }
    if let Some(method) = asked.get("SmsMethod") {
        line.method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            _ => return Err(Refusal::of(20_001)),
        };
    }
    if let Some(url) = asked.get("SmsFallbackUrl") {
        line.fallback_url = Some(web_or_nothing(url)?.to_owned()).filter(|url| !url.is_empty());
    }
    if let Some(url) = asked.get("StatusCallback") {
        line.status_callback = Some(web_or_nothing(url)?.to_owned()).filter(|url| !url.is_empty());
    }
    simulator.set_line(line.clone());
    Ok(HttpResponse::Ok().json(resource(&line, mount(&request))))
}

fn web_or_nothing(url: &str) -> Result<&str, Refusal> {
    if url.is_empty() || is_web(url) { Ok(url) } else { Err(Refusal::of(20_001)) }
}

fn find(request: &HttpRequest, simulator: &Simulator, account: &AccountSid) -> Result<Line, Refusal> {
    let asked = request.match_info().get("sid").unwrap_or_default();
    let mut lines = simulator.lines().into_iter();
    lines.find(|line| line.account_sid == *account && sid(line) == asked).ok_or(Refusal::of(20_404))
}

/// A number's id: made of account and number, so that it is the same with every start.
fn sid(line: &Line) -> String {
    let digest = Sha256::digest(format!("{} {}", line.account_sid, line.number.reveal()));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("PN{hex}")
}

/// As the API shows it, as far as texts go.
fn resource(line: &Line, mount: &str) -> Value {
    let sid = sid(line);
    let method = match line.method {
        Method::Post => "POST",
        Method::Get => "GET",
    };
    let number = line.number.reveal();
    json!({
        "sid": sid, "account_sid": line.account_sid, "phone_number": number, "friendly_name": number,
        "api_version": API_VERSION, "origin": "twilio", "beta": false, "status": "in-use",
        "capabilities": { "voice": true, "sms": true, "mms": true, "fax": false },
        "sms_url": line.webhook_url, "sms_method": method,
        "sms_fallback_url": line.fallback_url.as_deref().unwrap_or_default(), "sms_fallback_method": "POST",
        "sms_application_sid": "",
        "status_callback": line.status_callback.as_deref().unwrap_or_default(), "status_callback_method": "POST",
        "uri": format!("{mount}/{API_VERSION}/Accounts/{}/IncomingPhoneNumbers/{sid}.json", line.account_sid),
    })
}
