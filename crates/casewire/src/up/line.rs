//! The line `up` serves: the configured one, or one for the simulated account.

use anyhow::bail;
use casewire_domain::directory::Method;
use casewire_domain::line::{DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard};
use casewire_domain::seal::MasterKey;
use casewire_domain::{Address, Region};
use casewire_runtime::config::Config;
use casewire_store::{LineRow, LineSettings, NewLine, Store};
use casewire_twilio::webhook::message_url;
use secrecy::{ExposeSecret, SecretString};

use crate::keys;

/// The simulated account, its line, and the line's number: one of Twilio's own for tests, which nobody has.
const DEMO_ACCOUNT: &str = "AC00000000000000000000000000000000";
const DEMO_LINE: &str = "demo";
const DEMO_NUMBER: &str = "+15005550006";

/// The line `up` serves.
#[derive(Clone, Debug)]
pub struct ServedLine {
    /// Its number.
    pub number: Address,
    /// Its account.
    pub account_sid: String,
    /// The newest token of its account.
    pub auth_token: SecretString,
    /// The URL to enter at the provider, fragment included.
    pub webhook_url: String,
}

/// Makes sure that the line exists, with its account and this token.
pub async fn ensure(
    config: &Config,
    store: &Store,
    key: &MasterKey,
    public_url: &str,
) -> anyhow::Result<ServedLine> {
    let twilio = &config.twilio;
    let configured = twilio.account_sid.as_ref().zip(twilio.auth_token.as_ref()).zip(twilio.number.as_ref());
    let (account_sid, number, token) = match configured {
        Some(((sid, token), number)) => {
            (sid.as_str().to_owned(), number.reveal().to_owned(), Some(token.clone()))
        }
        None => (DEMO_ACCOUNT.to_owned(), DEMO_NUMBER.to_owned(), None),
    };
    let number = Address::parse(&number, Region::US)?;
    let known = known(&store.lines().await?, &account_sid, &number)?;
    let auth_token = account(store, key, &account_sid, token).await?;
    let webhook_id = match known {
        Some(webhook_id) => webhook_id,
        None => add(config, store, &account_sid, &number, configured.is_none()).await?,
    };
    Ok(ServedLine { webhook_url: message_url(public_url, &webhook_id), number, account_sid, auth_token })
}

/// The webhook id of the number's line. A line of another account with this number stops the start: its webhooks and
/// its replies would bear the other account's name.
fn known(lines: &[LineRow], account_sid: &str, number: &Address) -> anyhow::Result<Option<String>> {
    let mut same = lines.iter().filter(|line| line.active && line.settings.address == *number);
    let Some(other) = same.clone().next() else { return Ok(None) };
    if let Some(own) = same.find(|line| line.account_sid == account_sid) {
        return Ok(Some(own.settings.webhook_id.clone()));
    }
    let (id, owner) = (&other.settings.webhook_id, &other.account_sid);
    bail!(
        "the number to serve is that of line {id}, which belongs to account {owner}: correct `twilio.account_sid`, or \
         remove the line with `casewire line remove {id}`"
    )
}

/// The account with this token as its newest; a simulated account makes a token of its own, once.
async fn account(
    store: &Store,
    key: &MasterKey,
    sid: &str,
    token: Option<SecretString>,
) -> anyhow::Result<SecretString> {
    let directory = store.directory().await?;
    let known = directory.accounts.iter().find(|account| account.sid == sid);
    let newest = known.and_then(|account| Some((account.id, account.tokens.first()?)));
    let newest = newest.map(|(id, sealed)| key.open(sealed, &id.to_string())).transpose()?;
    let token = match (token, newest) {
        (None, Some(newest)) => return Ok(newest),
        (Some(token), Some(newest)) if token.expose_secret() == newest.expose_secret() => return Ok(newest),
        (Some(token), _) => token,
        (None, None) => casewire_desk::token::bare()?,
    };
    store.put_account_token(sid.to_owned(), keys::sealer(key.clone(), token.clone())?).await?;
    Ok(token)
}

/// Adds the number's line; its webhook id, a guessable one only for the demo.
async fn add(
    config: &Config,
    store: &Store,
    account_sid: &str,
    number: &Address,
    demo: bool,
) -> anyhow::Result<String> {
    let webhook_id = if demo { DEMO_LINE.to_owned() } else { random_id()? };
    let guard = &config.guard;
    let settings = LineSettings {
        webhook_id: webhook_id.clone(),
        address: number.clone(),
        region: Region::US,
        method: Method::Post,
        on_open: DEFAULT_ON_OPEN.to_owned(),
        on_reopen: DEFAULT_ON_REOPEN.to_owned(),
        on_update: String::new(),
        guard: Guard {
            per_ten_minutes: guard.replies_per_ten_minutes.get(),
            per_day: guard.replies_per_day.get(),
        },
        per_second: config.sender.rate_per_line.get(),
        when_uncertain: Default::default(),
    };
    store.add_line(NewLine { settings, account_sid: account_sid.to_owned() }).await?;
    Ok(webhook_id)
}

/// A webhook id nobody guesses: 96 random bits.
pub fn random_id() -> anyhow::Result<String> {
    random_hex::<12>()
}

/// This many random bytes, in hex.
pub fn random_hex<const BYTES: usize>() -> anyhow::Result<String> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
