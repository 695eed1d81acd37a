//! `casewire simulator`: the stand-in for Twilio by itself, and texting as somebody's handset.

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use casewire_domain::Address;
use casewire_runtime::telemetry::Output;
use casewire_simulator::{Config, Simulator};
use casewire_store::{LineRow, TokenKind};
use casewire_twilio::webhook::message_url;
use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::unanswered;
use crate::cli::{Listen, Place, SimulatorArgs, SimulatorCommand, TextArgs};
use crate::installation::{self, Installation};
use crate::printing::say;
use crate::process::Process;
use crate::wiring;

/// How long the token of one text lives.
const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(1);

pub async fn run(place: &Place, args: SimulatorArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(SimulatorCommand::Text(text)) => send(place, text).await,
        None => serve(place, &args.listen).await,
    }
}

async fn serve(place: &Place, listen: &Listen) -> anyhow::Result<ExitCode> {
    let config = installation::config(place, Some(listen))?;
    let listener = wiring::listen(config.server.listen)?;
    let process = Process::start(config, "simulator", Output::Stdout)?;
    let simulator = Simulator::new(Config::default())?;
    let address = listener.local_addr().context("the listening address is unknown")?;
    say!("simulated Twilio: set CASEWIRE_TWILIO__API_BASE_URL=http://{address}; control under /simulator")?;
    let stop = process.shutdown.token();
    process.shutdown.spawn_critical("simulator", async move { simulator.serve(listener, stop).await });
    process.serve(async {}).await
}

/// Texts a line. The webhook is signed with the newest token of the line's account.
async fn send(place: &Place, args: TextArgs) -> anyhow::Result<ExitCode> {
    let here = Installation::open(place).await?;
    let line = line(&here, args.line.as_deref()).await?;
    let from = Address::parse(&args.from, line.settings.region).context("--from")?;
    let token = auth_token(&here, &line.account_sid).await?;
    let draft = json!({
        "from": from, "to": line.settings.address, "body": args.body, "account_sid": line.account_sid,
        "webhook_url": message_url(&here.public_url()?, &line.settings.webhook_id), "auth_token": token,
    });
    let simulator = simulator(&here, args.simulator)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(format!("{simulator}/simulator/texts")).json(&draft);
    let request = request.bearer_auth(control_token(&here).await?);
    let answer = request.send().await;
    let answer =
        answer.map_err(|error| anyhow!("no simulator answers at {simulator}: {}", unanswered(&error)))?;
    let status = answer.status();
    let sent: Value = answer.json().await.context("the simulator's answer cannot be read")?;
    if !status.is_success() {
        bail!("the simulator refused the text: {}", sent["detail"].as_str().unwrap_or("no reason given"));
    }
    say!(
        "{} is sent to {}; the webhook answered {}.",
        sent["sid"].as_str().unwrap_or("it"),
        line.settings.webhook_id,
        webhook(&sent)
    )?;
    Ok(if sent["taken"] == json!(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn webhook(sent: &Value) -> String {
    let last = sent["webhooks"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    match last["status"].as_u64() {
        Some(status) => status.to_string(),
        None => last["error"].as_str().unwrap_or("nothing").to_owned(),
    }
}

/// The line that is named, or the one there is no doubt about.
async fn line(here: &Installation, id: Option<&str>) -> anyhow::Result<LineRow> {
    let mut lines: Vec<_> = here.store.lines().await?.into_iter().filter(|line| line.active).collect();
    if let Some(id) = id {
        let named = lines.into_iter().find(|line| line.settings.webhook_id == id);
        return named.with_context(|| format!("there is no line {id}: see `casewire line list`"));
    }
    if lines.len() > 1 {
        lines.retain(|line| line.settings.webhook_id == "demo");
    }
    let only = lines.pop().filter(|_| lines.is_empty());
    only.context("which line? Name one with --line (see `casewire line list`)")
}

/// The token webhooks of this account are signed with.
async fn auth_token(here: &Installation, account_sid: &str) -> anyhow::Result<String> {
    let key = here.master_key().await?;
    let directory = here.store.directory().await?;
    let account = directory.accounts.into_iter().find(|account| account.sid == account_sid);
    let account = account.with_context(|| format!("there is no account {account_sid}"))?;
    let newest = account.tokens.first().context("the account has no token")?;
    Ok(key.open(newest, &account.id.to_string())?.expose_secret().to_owned())
}

fn simulator(here: &Installation, named: Option<String>) -> anyhow::Result<String> {
    let beside = here.running().and_then(|running| running.simulator);
    let configured = here
        .config
        .origin("twilio.api_base_url")
        .map(|_| here.config.twilio.api_base_url.as_str().to_owned());
    named.or(beside).or(configured).map(|url| url.trim_end_matches('/').to_owned()).context(
        "no simulator is known: start `casewire up` without an account, or name one with --simulator",
    )
}

/// The control of a simulator inside `up` is guarded as the API is.
async fn control_token(here: &Installation) -> anyhow::Result<String> {
    let token = casewire_desk::token::api_token()?;
    let expires = Utc::now() + TOKEN_LIFE;
    here.store
        .add_token(TokenKind::Api, "simulator text".into(), token.expose_secret(), Some(expires))
        .await?;
    Ok(token.expose_secret().to_owned())
}
