//! `casewire signature`: whether a webhook's signature holds, and why not.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use casewire_twilio::explain::{Reason, explain};
use casewire_twilio::signature::{Keyring, Refused, UrlRequest, sign_url};
use secrecy::SecretString;

use crate::cli::SignatureArgs;
use crate::printing::{complain, say};

pub fn run(args: &SignatureArgs) -> anyhow::Result<ExitCode> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body).context("standard input cannot be read")?;
    let method = args.method.to_ascii_uppercase();
    let request = UrlRequest {
        url: &args.url,
        method: &method,
        content_type: if method == "GET" { "" } else { &args.content_type },
        body: &body,
        signature: args.signature.as_deref(),
        settings: args.signature_settings.as_deref(),
    };
    let tokens: Vec<SecretString> = args.auth_token.iter().map(|token| token.as_str().into()).collect();
    let keys = match Keyring::for_settings(&tokens, request.settings) {
        Ok(keys) => keys,
        Err(malformed) => return Ok(misused(&format!("--signature-settings: {malformed}"))),
    };
    if args.sign {
        let Some(token) = tokens.first() else { return Ok(misused("--auth-token is missing")) };
        return Ok(match sign_url(&request, token) {
            Ok(signature) => {
                say!("{signature}")?;
                ExitCode::SUCCESS
            }
            Err(refused) => misused(&refused.to_string()),
        });
    }
    let reasons = explain(&request, &keys);
    if reasons.is_empty() {
        say!("valid")?;
        return Ok(ExitCode::SUCCESS);
    }
    if reasons.contains(&Reason::Refused(Refused::PublicUrl)) {
        return Ok(misused("--url is no URL: give it whole, as Twilio was told it"));
    }
    say!("not valid")?;
    for reason in reasons {
        say!("- {reason}")?;
    }
    Ok(ExitCode::from(1))
}

fn misused(why: &str) -> ExitCode {
    complain(format_args!("casewire: {why}"));
    ExitCode::from(2)
}
