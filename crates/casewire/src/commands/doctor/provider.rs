//! Twilio: whether it lets the accounts in, what time it is there, and what it does with each line's texts.

use casewire_domain::directory::AccountEntry;
use casewire_domain::seal::MasterKey;
use casewire_store::LineRow;
use casewire_twilio::rest::{Client, Credentials, ReadError};
use casewire_twilio::webhook::message_url;
use chrono::Utc;
use secrecy::SecretString;

use super::finding::{Finding, State};
use super::ground::Ground;
use super::{clock, origin, webhook, within};
use crate::wiring;

pub async fn all(ground: &Ground, fix: bool) -> Vec<Finding> {
    match parts(ground).await {
        Ok(parts) if parts.lines.is_empty() => {
            let found = format!("there are no lines yet: {} line add --help", ground.program);
            vec![Finding::skipped("Twilio", found)]
        }
        Ok(parts) => parts.check(ground, fix).await,
        Err(why) => vec![Finding::skipped("Twilio", why)],
    }
}

struct Parts {
    client: Client,
    /// Where the provider's API is.
    api: String,
    key: MasterKey,
    lines: Vec<LineRow>,
    accounts: Vec<AccountEntry>,
}

/// All that is needed to ask; else why nobody is asked. What is wrong with it is another check's to say.
async fn parts(ground: &Ground) -> Result<Parts, String> {
    let api = ground.api()?;
    let key = ground.master_key().map_err(|_| "there is no master key to open the auth tokens with")?;
    let store = ground.store.as_ref().map_err(|_| "the database cannot be read")?;
    let unread = |error| format!("the database cannot be read: {error}");
    let lines = store.lines().await.map_err(unread)?.into_iter().filter(|line| line.active).collect();
    let accounts = store.directory().await.map_err(unread)?.accounts;
    let client = wiring::provider(&ground.config.sender, &api).map_err(|error| crate::sentence(&error))?;
    Ok(Parts { client, api, key, lines, accounts })
}

impl Parts {
    async fn check(&self, ground: &Ground, fix: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut clock = None;
        for account in &self.accounts {
            let lines: Vec<_> = self.lines.iter().filter(|line| line.account_sid == account.sid).collect();
            if lines.is_empty() {
                continue;
            }
            let mut credentials = None;
            let name = format!("account {}", account.sid);
            let asked = async {
                let (finding, let_in, read) = self.account(ground, account).await;
                credentials = let_in;
                clock = clock.take().or(read);
                vec![finding]
            };
            findings.extend(within(&name, asked).await);
            for line in lines {
                let name = format!("line {}", line.settings.webhook_id);
                findings.extend(match &credentials {
                    Some(credentials) => within(&name, self.line(ground, line, credentials, fix)).await,
                    None => vec![Finding::skipped(name, "Twilio does not let its account in")],
                });
            }
        }
        findings.extend(clock);
        findings
    }

    /// Whether the account is let in with its newest token; the credentials that are, and its clock.
    async fn account(
        &self,
        ground: &Ground,
        account: &AccountEntry,
    ) -> (Finding, Option<Credentials>, Option<Finding>) {
        let name = format!("account {}", account.sid);
        let place = account.id.to_string();
        let opened = account.tokens.iter().filter_map(|sealed| self.key.open(sealed, &place).ok());
        let tokens: Vec<SecretString> = opened.collect();
        let rotate =
            format!("{} account rotate-token {} --auth-token-file FILE", ground.program, account.sid);
        for (age, auth_token) in tokens.into_iter().enumerate() {
            let credentials = Credentials { account_sid: account.sid.clone(), auth_token };
            let before = Utc::now();
            match self.client.clock(&credentials).await {
                Ok(at) => {
                    let clock = at.map(|at| clock::compare("Twilio", at, before, Utc::now()));
                    let finding = if age == 0 {
                        Finding::ok(name, "Twilio lets it in with its newest token")
                    } else {
                        let found = "Twilio refuses its newest token and takes the one before it: webhooks are \
                                     signed with the other";
                        Finding::warn(name, found, rotate)
                    };
                    return (finding, Some(credentials), clock);
                }
                Err(ReadError::AccountRefused { .. }) => {}
                Err(error) => {
                    let mend =
                        "see whether this machine reaches `twilio.api_base_url`; else wait and run it again";
                    return (Finding::wrong(name, error.to_string(), mend), None, None);
                }
            }
        }
        let found =
            "Twilio refuses every auth token that is known of it: nothing is sent, and webhooks get 403";
        (Finding::wrong(name, found, rotate), None, None)
    }

    async fn line(
        &self,
        ground: &Ground,
        line: &LineRow,
        credentials: &Credentials,
        fix: bool,
    ) -> Vec<Finding> {
        let name = format!("line {}", line.settings.webhook_id);
        let Some(public_url) = ground.public_url() else {
            return vec![Finding::skipped(
                name,
                "`server.public_url` is not set: its webhook's URL begins with it",
            )];
        };
        if origin::is_twilio(&self.api) && !origin::is_public(&public_url) {
            let found = format!("Twilio cannot reach {public_url} (`server.public_url`)");
            return vec![Finding::wrong(
                name,
                found,
                "set it to the https:// origin of your proxy or tunnel",
            )];
        }
        let url = message_url(&public_url, &line.settings.webhook_id);
        if line.settings.address.is_messaging_service() {
            let found = format!(
                "a Messaging Service, which is not asked: in Twilio's console see that its Integration sends a webhook to {url}"
            );
            return vec![Finding::skipped(name, found)];
        }
        vec![match self.number(ground, line, credentials, &url, fix).await {
            Ok(finding) => Finding { check: name, ..finding },
            Err(error) => Finding::wrong(name, error.to_string(), "wait, and run it again"),
        }]
    }

    async fn number(
        &self,
        ground: &Ground,
        line: &LineRow,
        credentials: &Credentials,
        url: &str,
        fix: bool,
    ) -> Result<Finding, ReadError> {
        let Some(number) = self.client.number(credentials, &line.settings.address).await?.number else {
            let found =
                "the account has no such number: nothing comes in, and what is sent from it is refused";
            // A simulator by itself is told of a line by whoever texts it.
            let mend = format!(
                "buy it, or remove the line: {} line remove {}; a simulator knows it from its first text on",
                ground.program, line.settings.webhook_id
            );
            return Ok(Finding::wrong("", found, mend));
        };
        let method = line.settings.method;
        let before = webhook::judge(&number, url, method);
        if !(fix && before.fixable) {
            return Ok(before.finding(&ground.program));
        }
        let wanted = webhook::wanted(&number, method);
        let changed = self.client.set_webhook(credentials, &number, url, wanted).await?;
        let after = webhook::judge(&changed, url, method);
        let state = if after.state == State::Ok { State::Fixed } else { after.state };
        let found = format!("it is set to {wanted} {url} now. It was: {}", before.found());
        Ok(Finding { state, found, ..after.finding(&ground.program) })
    }
}
