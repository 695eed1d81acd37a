//! What a test, the demo page and the command line ask of the simulator, which Twilio has no API for. It is
//! not guarded: whoever mounts it where others can reach it guards it.

mod events;
mod problem;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, JsonConfig, Path, Query, ServiceConfig};
use casewire_domain::{Address, Region};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use crate::account::{Account, Line};
use crate::control::problem::Problem;
use crate::faults::Rule;
use crate::sid::AccountSid;
use crate::simulator::Simulator;
use crate::texting::HandsetDraft;

impl Simulator {
    /// Mounts the control API under any scope (`/simulator` by custom): `texts`, `handsets/…`, `lines`,
    /// `accounts/…`, `faults`, `ledger`, `pending`.
    pub fn control_routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + use<> {
        let simulator = Data::new(self.clone());
        move |app| {
            let json = JsonConfig::default()
                .limit(simulator.config().body_max)
                .error_handler(|error, _| Problem::unreadable(&error).into());
            app.app_data(simulator.clone())
                .app_data(json)
                .route("/texts", web::post().to(send_text))
                .route("/handsets/{number}/messages", web::get().to(handset))
                .route("/handsets/{number}/stream", web::get().to(events::stream))
                .service(web::resource("/lines").route(web::get().to(lines)).route(web::post().to(set_line)))
                .route("/lines/{number}", web::delete().to(remove_line))
                .route("/accounts/{sid}", web::put().to(set_account))
                .service(
                    web::resource("/faults").route(web::get().to(faults)).route(web::put().to(set_faults)),
                )
                .route("/ledger", web::get().to(ledger))
                .route("/pending", web::get().to(pending));
        }
    }
}

async fn send_text(simulator: Data<Simulator>, draft: Json<HandsetDraft>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(simulator.send_text(draft.into_inner()).await?))
}

/// Where to read on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn handset(
    simulator: Data<Simulator>,
    number: Path<String>,
    after: Query<After>,
) -> Result<HttpResponse, Problem> {
    let number = address(&number)?;
    let texts = simulator.handset(&number, after.after, after.limit.unwrap_or(usize::MAX));
    let cursor = texts.last().map_or(after.after, |text| text.seq);
    Ok(HttpResponse::Ok().json(json!({ "number": number, "messages": texts, "cursor": cursor })))
}

/// A number in a path, as people type it.
fn address(number: &str) -> Result<Address, Problem> {
    Address::parse(number, Region::US).map_err(|error| Problem::new(400, error.to_string()))
}

async fn lines(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "lines": simulator.lines() }))
}

async fn set_line(simulator: Data<Simulator>, line: Json<Line>) -> Result<HttpResponse, Problem> {
    let mut line = line.into_inner();
    line.number = address(line.number.reveal())?;
    simulator.set_line(line.clone());
    Ok(HttpResponse::Ok().json(line))
}

async fn remove_line(simulator: Data<Simulator>, number: Path<String>) -> Result<HttpResponse, Problem> {
    match simulator.remove_line(&address(&number)?) {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Problem::new(404, "no line has this number")),
    }
}

/// An account as it is made known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    auth_token: SecretString,
    #[serde(default)]
    secondary_token: Option<SecretString>,
    /// Whether other passwords are refused.
    #[serde(default = "yes")]
    strict: bool,
}

fn yes() -> bool {
    true
}

async fn set_account(
    simulator: Data<Simulator>,
    sid: Path<String>,
    body: Json<AccountBody>,
) -> Result<HttpResponse, Problem> {
    let sid: AccountSid = sid.parse().map_err(|error| Problem::new(400, format!("{error}")))?;
    let AccountBody { auth_token, secondary_token, strict } = body.into_inner();
    simulator.set_account(sid, Account { auth_token, secondary_token, strict });
    Ok(HttpResponse::NoContent().finish())
}

/// The rules that are to be in force.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsBody {
    rules: Vec<Rule>,
}

async fn faults(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "rules": simulator.faults() }))
}

async fn set_faults(simulator: Data<Simulator>, body: Json<FaultsBody>) -> Result<HttpResponse, Problem> {
    simulator.set_faults(body.into_inner().rules)?;
    Ok(faults(simulator).await)
}

/// Which part of the ledger.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    #[serde(default)]
    sends_after: u64,
    #[serde(default)]
    texts_after: u64,
    limit: Option<usize>,
}

async fn ledger(simulator: Data<Simulator>, query: Query<LedgerQuery>) -> HttpResponse {
    let limit = query.limit.unwrap_or(usize::MAX);
    let part = simulator.state().ledger.read(query.sends_after, query.texts_after, limit);
    HttpResponse::Ok().json(part)
}

async fn pending(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.pending())
}
