//! What a person reads when `up` is up.

use std::net::SocketAddr;
use std::path::Path;

use super::line::ServedLine;
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
pub fn print(facts: &Facts<'_>) {
    let Facts { address, ops, line, link, data, simulated, command } = facts;
    let base = format!("http://{}", reachable(*address));
    println!("casewire {} is up.\n", env!("CARGO_PKG_VERSION"));
    println!("  Page       {base}/demo?link={link}");
    println!("             (the link works once; the browser then stays signed in)");
    println!("  API        {base}/api/v1   (described in {base}/api/v1/openapi.json)");
    println!("             (a token for it: {command} token create --name me)");
    println!("  Line       {}{}", line.number.reveal(), if *simulated { "   (simulated)" } else { "" });
    println!("  Webhook    {}", line.webhook_url);
    println!("  Health     http://{}/readyz, metrics at /metrics", reachable(*ops));
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf());
    println!("  Data       {}\n", data.display());
    if *simulated {
        println!("Twilio is simulated: no text leaves this machine. Try next:");
        println!("  1. Open the page, write a text on the handset, and answer it from the desk.");
        println!("  2. Or text from another terminal:");
        println!("     {command} simulator text --from +12065550100 \"my heater is broken\"");
        println!("  3. A number of your own: see \"A real Twilio number\" in README.md.");
    } else {
        println!(
            "Enter the webhook URL at Twilio (Phone Numbers → your number → \"A message comes in\", HTTP POST),"
        );
        println!("then text the number. The fragment after # makes Twilio try again when we do not answer.");
    }
    println!("\nStop with Ctrl-C; nothing is lost.");
}
