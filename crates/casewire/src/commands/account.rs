//! `casewire account`: accounts and their tokens.

use anyhow::bail;
use casewire_domain::directory::{Algorithm, SharedKey};
use casewire_domain::seal::MasterKey;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{account_sid, secret};
use crate::cli::{AccountAdd, AccountCommand, Place, RotateToken};
use crate::installation::Installation;
use crate::printing::say;
use crate::{keys, table};

pub async fn run(place: &Place, command: AccountCommand) -> anyhow::Result<()> {
    let here = Installation::open(place).await?;
    match command {
        AccountCommand::Add(args) => add(&here, args).await,
        AccountCommand::List(output) => list(&here, output.json).await,
        AccountCommand::RotateToken(args) => rotate(&here, args).await,
    }
}

async fn add(here: &Installation, args: AccountAdd) -> anyhow::Result<()> {
    let sid = account_sid(&args.account_sid)?;
    let new = ensure_token(here, sid, secret(&args.auth_token_file)?).await?;
    if let (Some(key_id), Some(file)) = (args.shared_key_id, &args.shared_key_file) {
        let seal = keys::sealer(here.master_key().await?, secret(file)?)?;
        let key = move |id| SharedKey { key_id, algorithm: Algorithm::HmacSha256, secret: seal(id) };
        here.store.put_shared_key(sid.to_owned(), key).await?;
    }
    say!("account {sid} is {}.", if new { "added" } else { "known already, with this token" })?;
    Ok(())
}

/// Makes the account where it is new; whether it was. A known one must have this token already: another one is a
/// rotation, which nobody should do by accident.
pub async fn ensure_token(here: &Installation, sid: &str, token: SecretString) -> anyhow::Result<bool> {
    let key = here.master_key().await?;
    let Some(known) = tokens(here, &key, sid).await? else {
        here.store.put_account_token(sid.to_owned(), keys::sealer(key, token)?).await?;
        return Ok(true);
    };
    if !known.iter().any(|known| is_same(known, &token)) {
        bail!(
            "account {sid} is known with another token: give it the new one with `casewire account rotate-token {sid}`"
        );
    }
    Ok(false)
}

/// An account's tokens, newest first; none where it is not known.
async fn tokens(
    here: &Installation,
    key: &MasterKey,
    sid: &str,
) -> anyhow::Result<Option<Vec<SecretString>>> {
    let directory = here.store.directory().await?;
    let Some(known) = directory.accounts.iter().find(|account| account.sid == sid) else { return Ok(None) };
    let place = known.id.to_string();
    let opened = known.tokens.iter().map(|sealed| key.open(sealed, &place));
    Ok(Some(opened.collect::<Result<_, _>>()?))
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

async fn rotate(here: &Installation, args: RotateToken) -> anyhow::Result<()> {
    let sid = account_sid(&args.account_sid)?;
    if !here.store.has_account(sid).await? {
        bail!("there is no account {sid}: see `casewire account list`");
    }
    if let Some(file) = &args.auth_token_file {
        put_newest(here, sid, secret(file)?).await?;
    }
    if args.drop_old {
        here.store.drop_old_tokens(sid.to_owned()).await?;
        say!("account {sid} has its newest token alone.")?;
    }
    Ok(())
}

/// Makes this the account's newest token. Where it is that already nothing changes: twice in the list it would push
/// out the one before it, which still verifies what Twilio signed with it.
async fn put_newest(here: &Installation, sid: &str, token: SecretString) -> anyhow::Result<()> {
    let key = here.master_key().await?;
    let known = tokens(here, &key, sid).await?.unwrap_or_default();
    if known.first().is_some_and(|newest| is_same(newest, &token)) {
        say!("account {sid} has this token already as its newest; nothing is changed.")?;
        return Ok(());
    }
    here.store.put_account_token(sid.to_owned(), keys::sealer(key, token)?).await?;
    say!("account {sid} has its new token. The one before it still verifies webhooks, until --drop-old.")?;
    Ok(())
}

async fn list(here: &Installation, as_json: bool) -> anyhow::Result<()> {
    let accounts = here.store.accounts().await?;
    if as_json {
        let items: Vec<_> = accounts
            .iter()
            .map(|account| {
                json!({
                    "account_sid": account.sid, "live_tokens": account.tokens,
                    "shared_keys": account.shared_keys, "lines": account.lines,
                })
            })
            .collect();
        say!("{}", serde_json::to_string_pretty(&items)?)?;
        return Ok(());
    }
    let rows = accounts.iter().map(|account| {
        [
            account.sid.clone(),
            account.tokens.to_string(),
            account.shared_keys.join(", "),
            account.lines.to_string(),
        ]
    });
    table::print(
        ["ACCOUNT", "LIVE TOKENS", "SHARED KEYS", "LINES"],
        rows,
        "no accounts yet: casewire account add --help",
    )
}
