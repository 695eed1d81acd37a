//! Basic auth with the account's SID and token. An account not met before is let in, and its password
//! remembered: it signs the account's webhooks.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::account::Account;
use crate::refusal::Refusal;
use crate::sid::AccountSid;
use crate::simulator::Simulator;

/// The account a request is for, when its credentials are the account's.
pub(super) fn account(request: &HttpRequest, simulator: &Simulator) -> Result<AccountSid, Refusal> {
    let (user, password) = credentials(request).ok_or(Refusal::of(20_003))?;
    let account = request.match_info().get("account").and_then(|sid| sid.parse().ok());
    let account: AccountSid = account.ok_or(Refusal::of(20_404))?;
    if user != account.as_str() || password.is_empty() {
        return Err(Refusal::of(20_003));
    }
    let mut state = simulator.state();
    let known = state.accounts.entry(account.clone()).or_insert_with(|| Account::first_met(&password));
    known.admits(&password).then_some(account).ok_or(Refusal::of(20_003))
}

fn credentials(request: &HttpRequest) -> Option<(String, String)> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}
