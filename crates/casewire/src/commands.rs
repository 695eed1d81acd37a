//! The commands beside the roles.

pub mod account;
pub mod backup;
pub mod case;
pub mod check_config;
pub mod dead_letter;
pub mod doctor;
pub mod healthcheck;
pub mod line;
pub mod metrics;
pub mod migrate;
pub mod reconcile;
pub mod restore;
pub mod signature;
pub mod simulator;
pub mod token;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use casewire_runtime::config::AccountSid;
use secrecy::SecretString;

/// A secret from a file, `-` being standard input, without the white space around it.
fn secret(file: &Path) -> anyhow::Result<SecretString> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        text
    } else {
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
    };
    if text.trim().is_empty() {
        bail!("{} holds no secret", file.display());
    }
    Ok(SecretString::from(text.trim()))
}

/// An account's id, in the form Twilio gives it and the configuration takes it in.
fn account_sid(text: &str) -> anyhow::Result<&str> {
    if AccountSid::parse(text).is_none() {
        bail!("an account's id is AC and 32 lower-case hex digits, as Twilio's console shows it");
    }
    Ok(text)
}

/// Why a request to one of our own ports came to nothing, for a person.
fn unanswered(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "nobody listens there"
    } else {
        "the connection broke"
    }
}
