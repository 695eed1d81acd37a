//! Tables for people.

use comfy_table::{Table, presets};

/// Prints rows under a header, or a sentence where there are none.
pub fn print<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>, none: &str) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    let mut empty = true;
    for row in rows {
        empty = false;
        table.add_row(row);
    }
    if empty { println!("{none}") } else { println!("{table}") }
}

/// A text on one line, cut where it is long.
pub fn one_line(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most { line } else { line.chars().take(most - 1).chain(['…']).collect() }
}
