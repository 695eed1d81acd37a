//! The simulated Twilio of `up`, which knows the accounts that the directory knows.

use std::sync::Arc;

use casewire_domain::directory::{AccountEntry, Directory};
use casewire_domain::seal::MasterKey;
use casewire_simulator::{Account, AccountSid, Config, Line, Simulator};
use secrecy::SecretString;
use tokio::sync::watch;

use super::Parts;

/// A simulator for the served line.
pub fn twilio(parts: &Parts) -> anyhow::Result<Simulator> {
    let line = &parts.line;
    let sid: AccountSid = line.account_sid.parse()?;
    let config = Config {
        accounts: vec![(sid.clone(), account(line.auth_token.clone()))],
        lines: vec![Line::new(line.number.clone(), sid, line.webhook_url.clone())],
        ..Config::default()
    };
    Ok(Simulator::new(config)?)
}

/// Signs with each account's newest token, as it changes, until the directory is no more: otherwise a handset could
/// text no more once a token was rotated.
pub async fn follow(
    simulator: Simulator,
    key: MasterKey,
    mut directory: watch::Receiver<Option<Arc<Directory>>>,
) {
    while directory.changed().await.is_ok() {
        let Some(now) = directory.borrow_and_update().clone() else { continue };
        for (sid, token) in now.accounts.iter().filter_map(|account| newest(account, &key)) {
            simulator.set_account(sid, self::account(token));
        }
    }
}

fn newest(account: &AccountEntry, key: &MasterKey) -> Option<(AccountSid, SecretString)> {
    let token = key.open(account.tokens.first()?, &account.id.to_string()).ok()?;
    Some((account.sid.parse().ok()?, token))
}

/// Lets in whoever has another password too: accounts are made up here.
fn account(auth_token: SecretString) -> Account {
    Account { auth_token, secondary_token: None, strict: false }
}
