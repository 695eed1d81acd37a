//! The configuration written out: as it holds now, and as an example to start from.

use std::fmt::Write;

use super::Config;
use super::apply::variable;
use super::value::Kind;

const PREFACE: &str = "\
# casewire.toml: every setting with its default.
#
# A setting `key` of [section] can also be given as the environment variable CASEWIRE_SECTION__KEY, which goes before
# this file. A secret can be given as the name of a file it is in: `key_file`, or CASEWIRE_SECTION__KEY_FILE.
# Unknown settings are refused. `casewire check-config` reports every mistake and prints what holds.
";

/// What stands for a secret.
const MASK: &str = "********";

impl Config {
    /// What holds, as TOML, secrets masked, with a remark where each value that is no default was written.
    pub fn effective(&self) -> String {
        let mut config = self.clone();
        let mut out = String::new();
        for (section, keys) in config.sections() {
            let _ = writeln!(out, "{}[{section}]", if out.is_empty() { "" } else { "\n" });
            for key in keys.keys() {
                let line = match key.value.text() {
                    Some(_) if key.value.secret() => format!("{} = \"{MASK}\"", key.name),
                    Some(text) => format!("{} = {}", key.name, literal(key.value.kind(), &text)),
                    None => format!("# {} is not set", key.name),
                };
                let origin = self.origin(&format!("{section}.{}", key.name));
                let remark = origin.map(|origin| format!("  # {origin}")).unwrap_or_default();
                let _ = writeln!(out, "{line}{remark}");
            }
        }
        out
    }

    /// A commented file with every setting at its default: what `casewire.example.toml` is.
    pub fn example() -> String {
        let mut out = PREFACE.to_owned();
        for (section, keys) in Self::default().sections() {
            out.push('\n');
            comment(&mut out, keys.about());
            let _ = writeln!(out, "[{section}]");
            for key in keys.keys() {
                comment(&mut out, key.about);
                let _ = if key.value.secret() {
                    writeln!(out, "# {}_file = \"…\"  # or {}", key.name, variable(section, key.name))
                } else {
                    let text = key.value.text().or(key.sample.map(str::to_owned)).unwrap_or_default();
                    writeln!(out, "# {} = {}", key.name, literal(key.value.kind(), &text))
                };
            }
        }
        out
    }
}

fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(out, "#{line}");
    }
}

/// The value as TOML. JSON's escapes are TOML's too.
fn literal(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Text => serde_json::Value::from(text).to_string(),
        Kind::Number => text.to_owned(),
    }
}
