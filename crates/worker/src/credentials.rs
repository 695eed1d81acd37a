//! What requests for an account are made as.

use casewire_domain::directory::AccountEntry;
use casewire_domain::seal::MasterKey;
use casewire_twilio::rest::Credentials;

/// An account's credentials, those with its newest token first. A token that cannot be opened is left out, with a word
/// to the operator.
pub(crate) fn of(account: &AccountEntry, master_key: &MasterKey) -> Vec<Credentials> {
    let place = account.id.to_string();
    let open = |token| {
        let opened = master_key.open(token, &place);
        opened.inspect_err(|error| {
            tracing::error!(event = "token_sealed", account = account.sid, %error, "an account's token cannot be opened");
        })
    };
    let tokens = account.tokens.iter().filter_map(|token| open(token).ok());
    tokens.map(|auth_token| Credentials { account_sid: account.sid.clone(), auth_token }).collect()
}
