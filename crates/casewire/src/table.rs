//! Tables and texts for people.

use comfy_table::{ContentArrangement, Table, presets};

use crate::printing::say;

/// Prints rows under a header, or a sentence where there are none.
pub fn print<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    none: &str,
) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    let mut empty = true;
    for row in rows {
        empty = false;
        table.add_row(row);
    }
    if empty { say!("{none}") } else { say!("{table}") }
}

/// Characters in a line of a table whose cells hold sentences: what a terminal shows beside an editor.
const WIDTH: u16 = 110;

/// Prints rows under a header, with sentences broken into lines.
pub fn print_wrapped<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).add_rows(rows);
    say!("{table}")
}

/// A text on one line, cut where it is long.
pub fn one_line(text: &str, most: usize) -> String {
    let line = visible(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if line.chars().count() <= most { line } else { line.chars().take(most - 1).chain(['…']).collect() }
}

/// A text with its controls made visible: what a stranger wrote must not steer the terminal it is shown on.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\u{0}'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            c if c.is_control() => shown.push('\u{fffd}'),
            c if is_hidden(c) => shown.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a character turns the reading direction or takes no space: the same ones as on the page. The joiners
/// U+200C and U+200D are none of them: emoji and several scripts need them.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\u{9b}31m\u{7f}\u{0}"), "a␛[2Jb\u{fffd}31m␡␀");
        assert_eq!(visible("two\r\nlines\tand שלום 🔥"), "two\nlines\tand שלום 🔥");
    }

    #[test]
    fn a_text_cannot_turn_what_stands_beside_it() {
        assert_eq!(visible("a\u{202e}b\u{2066}c\u{200f}\u{200b}"), "a<U+202E>b<U+2066>c<U+200F><U+200B>");
        assert_eq!(visible("👩\u{200d}🔧 می\u{200c}خواهم"), "👩\u{200d}🔧 می\u{200c}خواهم");
        assert_eq!(one_line("\u{202e}abc", 40), "<U+202E>abc");
    }

    #[test]
    fn a_long_text_is_cut_and_a_broken_one_joined() {
        assert_eq!(one_line("one\n two  three", 20), "one two three");
        assert_eq!(one_line("one two three", 8), "one two…");
    }
}
