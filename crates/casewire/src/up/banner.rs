//! What a person reads when `up` is up.

use std::net::SocketAddr;
use std::path::Path;

use super::line::ServedLine;
use crate::printing::say;
use crate::process::reachable;

pub struct Facts<'a> {
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub line: &'a ServedLine,
    pub link: &'a str,
    pub data: &'a Path,
    pub simulated: bool,
    /// What commands beside it begin with.
    pub command: &'a str,
}

/// Prints where everything is and what to try next.
pub fn print(facts: &Facts<'_>) -> anyhow::Result<()> {
    let Facts { address, ops, line, link, data, simulated, command } = facts;
    let base = format!("http://{}", reachable(*address));
    say!("casewire {} is up.\n", env!("CARGO_PKG_VERSION"))?;
    say!("  Page       {base}/demo?link={link}")?;
    say!("             (the link works once; the browser then stays signed in)")?;
    say!("  API        {base}/api/v1   (described in {base}/api/v1/openapi.json)")?;
    say!("             (a token for it: {command} token create --name me)")?;
    say!("  Line       {}{}", line.number.reveal(), if *simulated { "   (simulated)" } else { "" })?;
    say!("  Webhook    {}", line.webhook_url)?;
    say!("  Health     http://{}/readyz, metrics at /metrics", reachable(*ops))?;
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf());
    say!("  Data       {}\n", data.display())?;
    if *simulated {
        say!("Twilio is simulated: no text leaves this machine. Try next:")?;
        say!("  1. Open the page, write a text on the handset, and answer it from the desk.")?;
        say!("  2. Or text from another terminal:")?;
        say!("     {command} simulator text --from +12065550100 \"my heater is broken\"")?;
        say!("  3. A number of your own: see \"A real Twilio number\" in README.md.")?;
    } else {
        say!(
            "Enter the webhook URL at Twilio (Phone Numbers → your number → \"A message comes in\", HTTP POST),"
        )?;
        say!("then text the number. The fragment after # makes Twilio try again when we do not answer.")?;
    }
    say!("\nStop with Ctrl-C; nothing is lost.")
}
