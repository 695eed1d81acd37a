//! The master key, and whether it is the one this installation's secrets were sealed with.

use anyhow::{Context, bail};
use casewire_domain::AccountId;
use casewire_domain::seal::{MasterKey, NONCE_LEN, Sealed};
use casewire_store::Store;
use secrecy::{ExposeSecret, SecretString};

/// What the key check seals, and where.
const CHECK: &str = "casewire";
const PLACE: &str = "installation";

/// A key from its text.
pub fn parse(text: &str) -> anyhow::Result<MasterKey> {
    MasterKey::parse(text).context("keys.master_key cannot be used")
}

/// Refuses a key that did not seal this installation's secrets; the first key seals the check.
pub async fn check(store: &Store, key: &MasterKey) -> anyhow::Result<()> {
    match store.key_check().await? {
        None => Ok(store.set_key_check(key.seal(CHECK, PLACE, nonce()?)).await?),
        Some(sealed) => opens(key, &sealed),
    }
}

/// Refuses a key that did not seal this check.
fn opens(key: &MasterKey, sealed: &Sealed) -> anyhow::Result<()> {
    match key.open(sealed, PLACE) {
        Ok(text) if text.expose_secret() == CHECK => Ok(()),
        Ok(_) => bail!("the database's key check does not belong to casewire"),
        Err(error) => bail!("the master key does not belong to this database: {error}"),
    }
}

/// The same without sealing anything: how many secrets of accounts the key opens, all there are.
pub async fn open_all(store: &Store, key: &MasterKey) -> anyhow::Result<usize> {
    if let Some(sealed) = store.key_check().await? {
        opens(key, &sealed)?;
    }
    let mut opened = 0;
    for account in store.directory().await?.accounts {
        let place = account.id.to_string();
        for sealed in account.tokens.iter().chain(account.shared_keys.iter().map(|shared| &shared.secret)) {
            let secret = key.open(sealed, &place);
            secret.with_context(|| format!("a secret of account {} cannot be opened", account.sid))?;
            opened += 1;
        }
    }
    Ok(opened)
}

/// Seals an account's secret when its id is known.
pub fn sealer(
    key: MasterKey,
    secret: SecretString,
) -> anyhow::Result<impl FnOnce(AccountId) -> Sealed + Send + 'static> {
    let nonce = nonce()?;
    Ok(move |id: AccountId| key.seal(secret.expose_secret(), &id.to_string(), nonce))
}

fn nonce() -> anyhow::Result<[u8; NONCE_LEN]> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(nonce)
}
