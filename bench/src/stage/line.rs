//! The one line that every side serves.

use casewire_domain::directory::{AccountEntry, Directory, LineEntry, Method};
use casewire_domain::seal::{MasterKey, NONCE_LEN};
use casewire_domain::{AccountId, LineId};
use uuid::Uuid;

use crate::load::{Line, Senders, Texts};

/// What signatures cover: no side derives it from where it listens.
pub(crate) const PUBLIC_URL: &str = "https://bench.example";
pub(crate) const LINE: &str = "main";
pub(crate) const NUMBER: &str = "+15550001111";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const KEY: [u8; 32] = [7; 32];

/// The master key, as the configuration takes it.
pub(crate) fn master_key() -> String {
    MasterKey::encode(&KEY)
}

/// Texts to the line.
pub(crate) fn texts(senders: Senders) -> Texts {
    let line = Line {
        public_url: PUBLIC_URL.to_owned(),
        id: LINE.to_owned(),
        account_sid: ACCOUNT.to_owned(),
        token: TOKEN.into(),
    };
    Texts::new(line, senders)
}

/// What ingest must know of the line, as a worker would publish it.
pub(crate) fn directory() -> Directory {
    let account = AccountId(Uuid::from_u128(2));
    let token = MasterKey::new(&KEY).seal(TOKEN, &account.to_string(), [1; NONCE_LEN]);
    Directory {
        // Older than any that a worker publishes.
        version: 0,
        accounts: vec![AccountEntry {
            id: account,
            sid: ACCOUNT.to_owned(),
            tokens: vec![token],
            shared_keys: Vec::new(),
        }],
        lines: vec![LineEntry {
            id: LineId(Uuid::from_u128(3)),
            webhook_id: LINE.to_owned(),
            account_id: account,
            method: Method::Post,
            active: true,
        }],
    }
}
