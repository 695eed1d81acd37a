//! `casewire token`: secrets for the REST API.

use anyhow::bail;
use secrecy::ExposeSecret;

use crate::cli::{Place, TokenCommand};
use crate::installation::Installation;
use crate::printing::say;

pub async fn run(place: &Place, command: TokenCommand) -> anyhow::Result<()> {
    let TokenCommand::Create { name } = command;
    let name = name.trim();
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        bail!("a token's name is 1 to 64 characters: it stands beside everything done with it");
    }
    let here = Installation::open(place).await?;
    let token = casewire_desk::token::api_token()?;
    here.store.add_api_token(name.to_owned(), token.expose_secret()).await?;
    say!("{}", token.expose_secret())
}
