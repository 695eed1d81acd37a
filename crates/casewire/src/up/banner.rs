//! What a person reads when `up` is up.

use std::net::SocketAddr;
use std::path::Path;

use super::line::ServedLine;

pub struct Facts<'a> {
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub line: &'a ServedLine,
    pub link: &'a str,
    pub data: &'a Path,
    pub simulated: bool,
}

/// Prints where everything is and what to try next.
pub fn print(facts: &Facts<'_>) {
    let Facts { address, ops, line, link, data, simulated } = facts;
    let base = format!("http://{}", super::reachable(*address));
    println!("casewire {} is up.\n", env!("CARGO_PKG_VERSION"));
    println!("  Page       {base}/demo?link={link}");
    println!("             (the link works once; the browser then stays signed in)");
    println!("  API        {base}/api/v1   (openapi.json there; tokens: casewire token create --name me)");
    println!("  Line       {}{}", line.number.reveal(), if *simulated { "   (simulated)" } else { "" });
    println!("  Webhook    {}", line.webhook_url);
    println!("  Health     http://{ops}/readyz, metrics at /metrics");
    println!("  Data       {}\n", data.display());
    if *simulated {
        println!("Twilio is simulated: no text leaves this machine. Try next:");
        println!("  1. Open the page, write a text on the handset, and answer it from the desk.");
        println!("  2. Or from another terminal:{}", text_command(data));
        println!("  3. A real number: see \"A real number\" in README.md.");
    } else {
        println!(
            "Enter the webhook URL at Twilio (Phone Numbers → your number → \"A message comes in\", HTTP POST),"
        );
        println!("then text the number. The fragment after # makes Twilio try again when we do not answer.");
    }
    println!("\nStop with Ctrl-C; nothing is lost.");
}

fn text_command(data: &Path) -> String {
    let place = if data == Path::new("casewire-data") {
        String::new()
    } else {
        format!(" --data-dir {}", data.display())
    };
    format!(" casewire{place} simulator text --from +12065550100 \"my heater is broken\"")
}
