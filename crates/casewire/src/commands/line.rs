//! `casewire line`: lines, and the webhook URLs to enter at the provider.

use std::time::Duration;

use anyhow::{Context, bail};
use casewire_bus::BoardError;
use casewire_domain::line::Guard;
use casewire_domain::template::Template;
use casewire_domain::{Address, Region};
use casewire_store::{LineRow, LineSettings, NewLine};
use casewire_twilio::webhook::message_url;
use serde_json::json;

use super::{account, account_sid};
use crate::cli::{LineAdd, LineCommand, Place};
use crate::installation::Installation;
use crate::printing::say;
use crate::table;
use crate::up::random_id;
use crate::wiring::Bus;

pub async fn run(place: &Place, command: LineCommand) -> anyhow::Result<()> {
    let here = Installation::open(place).await?;
    match command {
        LineCommand::Add(args) => add(&here, *args).await,
        LineCommand::List(output) => list(&here, output.json).await,
        LineCommand::Remove { id } => {
            let gone = here.store.remove_line(id.clone()).await?;
            let kept = if gone { "" } else { "; its cases stay readable" };
            tell_ingest(&here).await?;
            say!("line {id} is removed{kept}. Its webhook now answers as an unknown line's does.")?;
            Ok(())
        }
    }
}

async fn add(here: &Installation, args: LineAdd) -> anyhow::Result<()> {
    account_sid(&args.account_sid)?;
    let public_url = here.public_url()?;
    let settings = settings(here, &args)?;
    let id = settings.webhook_id.clone();
    // All that may be wrong with the line is found before its account is made: what is refused leaves nothing behind.
    let lines = here.store.lines().await?;
    number_is_free(&lines, &settings)?;
    let known = lines.iter().find(|line| line.active && line.settings.webhook_id == id);
    if let Some(line) = known {
        is_same(line, &settings, &args.account_sid)?;
    }
    ensure_account(here, &args).await?;
    if known.is_some() {
        say!("line {id} exists already, with these settings.")?;
    } else {
        here.store.add_line(NewLine { settings, account_sid: args.account_sid.clone() }).await?;
        say!("line {id} is added.")?;
        tell_ingest(here).await?;
    }
    say!("webhook: {}", message_url(&public_url, &id))?;
    if here.running().is_some_and(|running| running.simulator.is_some()) {
        say!(
            "This `up` has a simulated Twilio: what is sent from this line goes to the simulator, not to a phone."
        )?;
    } else {
        say!("Enter it at Twilio for \"A message comes in\" (HTTP POST), fragment included.")?;
    }
    Ok(())
}

/// How long NATS may take to answer a command: a worker tells ingest, too, so nobody need wait for this.
const TOLD: Duration = Duration::from_secs(3);

/// Puts the change where every ingest sees it, which workers do too: but none may run yet.
async fn tell_ingest(here: &Installation) -> anyhow::Result<()> {
    if here.config.stream.nats_url.is_none() {
        return Ok(());
    }
    let told = tokio::time::timeout(TOLD, publish(here)).await;
    if !told.is_ok_and(|published| published.is_ok()) {
        say!("The stream cannot be reached from here: ingest learns of it from the next worker that runs.")?;
    }
    Ok(())
}

async fn publish(here: &Installation) -> anyhow::Result<()> {
    let bus = Bus::jetstream(&here.config.stream).await?;
    while !bus.stream.connected() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    match bus.board.publish(&here.store.directory().await?).await {
        // A worker was faster, with something newer still.
        Ok(()) | Err(BoardError::Superseded { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a number that another line has: nobody could tell through which of them a text came.
fn number_is_free(lines: &[LineRow], settings: &LineSettings) -> anyhow::Result<()> {
    let (id, number) = (&settings.webhook_id, &settings.address);
    let other =
        lines.iter().find(|it| it.active && it.settings.address == *number && it.settings.webhook_id != *id);
    if let Some(other) = other.map(|line| &line.settings.webhook_id) {
        bail!(
            "line {other} has this number already: use it as it is (`casewire line list` shows its webhook), or remove \
             it first with `casewire line remove {other}`"
        );
    }
    Ok(())
}

/// Refuses other settings for an active line, and names them.
fn is_same(line: &LineRow, wanted: &LineSettings, account_sid: &str) -> anyhow::Result<()> {
    let has = &line.settings;
    let (guard, wanted_guard) = (has.guard, wanted.guard);
    let others: Vec<_> = [
        ("--number", has.address == wanted.address),
        ("--account-sid", line.account_sid == account_sid),
        ("--region", has.region == wanted.region),
        ("--method", has.method == wanted.method),
        ("--on-open", has.on_open == wanted.on_open),
        ("--on-reopen", has.on_reopen == wanted.on_reopen),
        ("--on-update", has.on_update == wanted.on_update),
        ("--rate", has.per_second == wanted.per_second),
        ("--when-uncertain", has.when_uncertain == wanted.when_uncertain),
        ("guard.replies_per_ten_minutes", guard.per_ten_minutes == wanted_guard.per_ten_minutes),
        ("guard.replies_per_day", guard.per_day == wanted_guard.per_day),
    ]
    .into_iter()
    .filter_map(|(name, same)| (!same).then_some(name))
    .collect();
    let id = &has.webhook_id;
    if !others.is_empty() {
        bail!(
            "line {id} exists already, with another {}: to change it, remove it with `casewire line remove {id}` and \
             add it again (its cases stay)",
            others.join(", ")
        );
    }
    Ok(())
}

fn settings(here: &Installation, args: &LineAdd) -> anyhow::Result<LineSettings> {
    let webhook_id = args.id.clone().map_or_else(random_id, Ok)?;
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if webhook_id.is_empty() || webhook_id.len() > 64 || !webhook_id.chars().all(usable) {
        bail!("a line's id is 1 to 64 letters, digits, dashes and underscores: it stands in a URL");
    }
    for (name, template) in
        [("--on-open", &args.on_open), ("--on-reopen", &args.on_reopen), ("--on-update", &args.on_update)]
    {
        Template::parse(template).with_context(|| name.to_owned())?;
    }
    let guard = &here.config.guard;
    Ok(LineSettings {
        webhook_id,
        address: number(&args.number, args.region)?,
        region: args.region,
        method: args.method,
        on_open: args.on_open.clone(),
        on_reopen: args.on_reopen.clone(),
        on_update: args.on_update.clone(),
        guard: Guard {
            per_ten_minutes: guard.replies_per_ten_minutes.get(),
            per_day: guard.replies_per_day.get(),
        },
        per_second: args.rate.unwrap_or(here.config.sender.rate_per_line.get()).max(1),
        when_uncertain: args.when_uncertain,
    })
}

fn number(text: &str, region: Region) -> anyhow::Result<Address> {
    let address = Address::parse(text, region)?;
    let service = address.reveal().starts_with("MG");
    if address.digits().is_none() && !service {
        bail!("--number is a phone number (+15550100), a short code, or a Messaging Service (MG…)");
    }
    Ok(address)
}

/// The line's account: known, or made with the token that must then be given.
async fn ensure_account(here: &Installation, args: &LineAdd) -> anyhow::Result<()> {
    let known = here.store.has_account(&args.account_sid).await?;
    match &args.auth_token_file {
        None if known => Ok(()),
        None => bail!("account {} is new: give its auth token with --auth-token-file", args.account_sid),
        Some(file) => account::ensure_token(here, &args.account_sid, super::secret(file)?).await.map(drop),
    }
}

async fn list(here: &Installation, as_json: bool) -> anyhow::Result<()> {
    let lines = here.store.lines().await?;
    let url = here.public_url().ok();
    let webhook = |line: &LineRow| {
        let url = url.as_ref().filter(|_| line.active);
        url.map_or_else(|| "-".to_owned(), |url| message_url(url, &line.settings.webhook_id))
    };
    if as_json {
        let items: Vec<_> = lines
            .iter()
            .map(|line| {
                json!({
                    "id": line.settings.webhook_id, "number": line.settings.address, "account_sid": line.account_sid,
                    "active": line.active, "method": line.settings.method, "region": line.settings.region,
                    "rate": line.settings.per_second, "when_uncertain": line.settings.when_uncertain, "webhook_url": webhook(line),
                })
            })
            .collect();
        say!("{}", serde_json::to_string_pretty(&items)?)?;
        return Ok(());
    }
    let rows = lines.iter().map(|line| {
        let state = if line.active { "active" } else { "removed" };
        [
            line.settings.webhook_id.clone(),
            line.settings.address.reveal().to_owned(),
            line.account_sid.clone(),
            state.to_owned(),
            webhook(line),
        ]
    });
    table::print(
        ["ID", "NUMBER", "ACCOUNT", "STATE", "WEBHOOK"],
        rows,
        "no lines yet: casewire line add --help",
    )
}
