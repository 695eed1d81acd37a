//! `casewire doctor`: everything an installation stands on, looked at from where a worker runs. It changes nothing,
//! unless it is told to mend what Twilio calls.
//!
//! Checks run beside each other, each with its own deadline; none stops another.

mod clock;
mod finding;
mod ground;
mod local;
mod origin;
mod provider;
mod stream;
mod webhook;

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{DoctorArgs, Place};
use crate::installation;
use crate::printing::say;
use crate::table;

use finding::{Finding, State};
use ground::Ground;

/// How long one check may take: a call to Twilio has 15 s at most, and a person waits.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(place: &Place, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let findings = match installation::config(place, None) {
        Ok(config) => all(&Ground::new(place, config).await, args.fix).await,
        Err(mistakes) => vec![Finding::wrong("configuration", format!("{mistakes:#}"), local::CORRECT)],
    };
    if args.output.json {
        say!("{}", serde_json::to_string_pretty(&findings)?)?;
    } else {
        print(&findings)?;
    }
    let wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn all(ground: &Ground, fix: bool) -> Vec<Finding> {
    let (database, keys, up, stream, provider) = tokio::join!(
        within("database", local::database(ground)),
        within("keys", local::keys(ground)),
        within("up", local::up(ground)),
        within("stream", stream::all(ground)),
        // Each account and line is bounded by itself.
        provider::all(ground, fix),
    );
    let here = [local::configuration(ground), local::spill(ground)];
    [here.to_vec(), database, keys, up, stream, provider].concat()
}

/// What a check finds within its time.
async fn within(name: &str, check: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| {
        let found = format!("no answer within {} s", PATIENCE.as_secs());
        vec![Finding::wrong(name, found, "see whether what it asks is up, and reachable from here")]
    })
}

fn print(findings: &[Finding]) -> anyhow::Result<()> {
    let rows = findings.iter().map(|finding| {
        [finding.check.clone(), finding.state.word().to_owned(), table::visible(&finding.found)]
    });
    table::print_wrapped(["CHECK", "STATE", "FOUND"], rows)?;
    let open: Vec<_> = findings.iter().filter_map(|it| Some((&it.check, it.mend.as_ref()?))).collect();
    if !open.is_empty() {
        say!("\nWhat mends it:")?;
    }
    for (check, mend) in open {
        say!("  {check}: {mend}")?;
    }
    Ok(())
}
