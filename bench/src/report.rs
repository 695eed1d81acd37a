//! The same findings for a terminal and for a page.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::finding::{Finding, figure};

const HEAD: [&str; 7] = ["measure", "value", "against", "ratio", "spread", "goal", "met"];

/// A table for the terminal.
pub(crate) fn table(all: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(HEAD);
    table.add_rows(all.iter().map(row));
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A page with the plots, which lie beside it.
pub(crate) fn markdown(all: &[Finding]) -> String {
    let mut page = String::from("# Benchmark\n\n");
    page += "Ratios are medians of rounds measured in turns, side by side in one run; the spread is the least and the\n\
             greatest of what the goal is about: the ratio, or the figure itself. Absolute figures are this machine's and\n\
             wander with what else it does.\n\n\
             ![Ratios](ratios.svg)\n\n![Figures with a bound](figures.svg)\n\n";
    page += &rows(all);
    page += "\n## Where each figure comes from\n\n| measure | rounds | command | commit | build | when | note |\n|---|---|---|---|---|---|---|\n";
    for found in all {
        let origin = &found.origin;
        let quick = if origin.quick { " (quick)" } else { "" };
        page += &format!(
            "| {} | {}{quick} | `{}` | {} | {} | {} | {} |\n",
            found.name, found.rounds, origin.command, origin.commit, origin.profile, origin.at, found.note
        );
    }
    let mut machines: Vec<String> =
        all.iter().map(|found| format!("- {}; {}\n", found.origin.machine, found.origin.servers)).collect();
    machines.sort();
    machines.dedup();
    page + "\nMachine and servers:\n\n" + &machines.concat()
}

/// The findings as a table of a page.
pub(crate) fn rows(all: &[Finding]) -> String {
    let mut table = format!("| {} |\n|---|---:|---:|---:|---:|---|---|\n", HEAD.join(" | "));
    for found in all {
        table += &format!("| {} |\n", row(found).map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    table
}

fn row(found: &Finding) -> [String; 7] {
    let ends = found.spread.map(figure);
    let spread = if ends[0] == ends[1] { ends[0].clone() } else { ends.join(" … ") };
    let against = match (found.against, &found.against_what) {
        (Some(value), Some(what)) => format!("{} ({what})", figure(value)),
        _ => "—".to_owned(),
    };
    [
        found.name.clone(),
        format!("{} {}", figure(found.value), found.unit),
        against,
        found.ratio.map_or("—".to_owned(), |ratio| format!("{}×", figure(ratio))),
        spread,
        found.goal.to_string(),
        match found.met {
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
            None => "—".to_owned(),
        },
    ]
}
