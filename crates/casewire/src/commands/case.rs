//! `casewire case`: what people texted, in the terminal. The JSON is the API's.

use anyhow::{Context, bail};
use casewire_desk::{CaseBody, CaseList as CaseListBody};
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::message::Direction;
use casewire_domain::outbox::OutboxState;
use casewire_domain::settle::Verdict;
use casewire_domain::{Address, CaseNumber, MessageId, Region};
use casewire_store::view::{CaseFilter, CaseSummary, MessageView};

use crate::cli::{CaseCommand, CaseList, Place};
use crate::installation::Installation;
use crate::printing::say;
use crate::table::{self, visible};

pub async fn run(place: &Place, command: CaseCommand) -> anyhow::Result<()> {
    let here = Installation::open(place).await?;
    match command {
        CaseCommand::List(args) => list(&here, args).await,
        CaseCommand::Show { number, output } => show(&here, number, output.json).await,
        CaseCommand::Resolve { number, message, verdict } => resolve(&here, number, message, verdict).await,
    }
}

async fn list(here: &Installation, args: CaseList) -> anyhow::Result<()> {
    let contact = args.contact.map(|contact| {
        let address = Address::parse(&contact, Region::US);
        address.map_or(contact, |address| address.reveal().to_owned())
    });
    let filter = CaseFilter { status: args.status, contact, line: args.line };
    let page = here.store.list_cases(&filter, args.limit, None).await?;
    if args.output.json {
        say!("{}", serde_json::to_string_pretty(&CaseListBody::from(page))?)?;
        return Ok(());
    }
    let more = page.next.is_some();
    table::print(
        ["CASE", "STATUS", "CONTACT", "LINE", "LAST TEXT", "CHANGED"],
        page.items.iter().map(row),
        "no cases: nobody has texted yet",
    )?;
    if more {
        say!("there are more: --limit shows them")?;
    }
    Ok(())
}

fn row(item: &CaseSummary) -> [String; 6] {
    let last = item.last_message.as_ref().map(|message| table::one_line(message.body.reveal(), 40));
    [
        item.case.number.to_string(),
        item.case.status.as_str().to_owned(),
        item.contact.address.reveal().to_owned(),
        item.line.clone(),
        last.unwrap_or_default(),
        item.case.updated_at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
    ]
}

async fn show(here: &Installation, number: CaseNumber, as_json: bool) -> anyhow::Result<()> {
    let view = here.store.case(number).await?.with_context(|| format!("there is no case {number}"))?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&CaseBody::from(view))?)?;
        return Ok(());
    }
    say!(
        "Case {number}, {}: {}, {} on line {}\n",
        view.case.status.as_str(),
        visible(view.contact.name.reveal()),
        view.contact.address.reveal(),
        view.line
    )?;
    for message in &view.messages {
        say!("{}", line(message))?;
    }
    for held in view.messages.iter().filter(|message| message.held) {
        let id = held.message.id;
        say!(
            "\nheld, for you to decide: casewire case resolve {number} {id} arrived|send-again|do-not-send"
        )?;
    }
    Ok(())
}

async fn resolve(
    here: &Installation,
    case: CaseNumber,
    message_id: MessageId,
    verdict: Verdict,
) -> anyhow::Result<()> {
    let command = Command::Resolve { case, message_id, verdict, actor: "operator".to_owned() };
    match here.store.handle_one(command).await? {
        Outcome::Resolved => {}
        Outcome::Refused(refusal) => bail!("{refusal}"),
        other => bail!("it came to something else: {other:?}"),
    }
    let done = match verdict {
        Verdict::Arrived => "noted: it arrived. Nothing more is waited for.",
        Verdict::SendAgain => "it is queued to be sent again.",
        Verdict::DoNotSend => "it is given up.",
    };
    say!("{done}")?;
    Ok(())
}

fn line(view: &MessageView) -> String {
    let message = &view.message;
    let at = message.received_at.format("%Y-%m-%d %H:%M:%SZ");
    // Further lines stand under the first, so that none can pass for another text.
    let body = visible(message.body.reveal()).replace('\n', "\n                        ");
    match message.direction {
        Direction::Inbound => format!("{at}  ← {body}"),
        Direction::Outbound => {
            let status = match view.outbox {
                Some(OutboxState::Uncertain) if view.held => "uncertain: held for a person",
                Some(OutboxState::Uncertain) => "uncertain: Twilio is being asked",
                _ => message.progress.status().as_str(),
            };
            let who = if message.automatic { "automatic" } else { "reply" };
            format!("{at}  → {body}   [{who}, {status}]")
        }
    }
}
