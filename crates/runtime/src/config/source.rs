//! Where settings are written: a TOML file and the environment. Both become the same list of [`Setting`]s.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Origin};
use super::value::Kind;

/// What every variable of ours starts with. Only those with two underscores after the section are settings; others
/// (Kubernetes makes up `CASEWIRE_DESK_PORT`) are not.
const PREFIX: &str = "CASEWIRE_";

/// One setting as it was written.
pub(crate) struct Setting {
    /// Name of the section.
    pub(crate) section: String,
    /// Name of the key.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: Written,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// A value before its type is known.
pub(crate) enum Written {
    /// A text or number of the file, to be told apart.
    Toml(Kind, String),
    /// A list, table, date or truth value: no setting is one.
    OtherToml,
    /// A variable's value: it has no kind.
    Environment(String),
}

/// The settings of the process environment. Give it to [`super::Config::load`]; tests give a list instead.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// The settings among variables. An empty variable counts as unset: compose files pass unset ones on as empty.
pub(crate) fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Vec<Setting> {
    let setting = |(name, value): (String, String)| {
        let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
        (!value.is_empty()).then(|| Setting {
            section: section.to_ascii_lowercase(),
            key: key.to_ascii_lowercase(),
            value: Written::Environment(value),
            origin: Origin::Environment(name.clone()),
        })
    };
    variables.filter_map(setting).collect()
}

/// The settings of a file. When it is no TOML, only that is reported of it.
pub(crate) fn from_file(path: &Path, mistakes: &mut Vec<Mistake>) -> Vec<Setting> {
    let at = |line| Origin::File { path: path.to_owned(), line };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            mistakes.push(Mistake::at(at(0), format!("the configuration file cannot be read: {error}")));
            return Vec::new();
        }
    };
    let line_of = |offset: usize| text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1;
    let (table, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        // Only the parser's own sentence: its full text repeats the line, which may hold a secret.
        mistakes.extend(errors.iter().map(|error| {
            Mistake::at(at(error.span().map_or(0, |span| line_of(span.start))), error.message())
        }));
        return Vec::new();
    }
    let origin = |name: &Spanned<_>| at(line_of(name.span().start));
    let mut settings = Vec::new();
    for (section, keys) in table.get_ref() {
        let Some(keys) = keys.get_ref().as_table() else {
            let what = format!("`{}` stands outside of any [section]", section.get_ref());
            mistakes.push(Mistake::at(origin(section), what));
            continue;
        };
        settings.extend(keys.iter().map(|(key, value)| Setting {
            section: section.get_ref().to_string(),
            key: key.get_ref().to_string(),
            value: written(value.get_ref()),
            origin: origin(key),
        }));
    }
    settings
}

fn written(value: &DeValue<'_>) -> Written {
    match value {
        DeValue::String(text) => Written::Toml(Kind::Text, text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => {
            Written::Toml(Kind::Number, number.as_str().to_owned())
        }
        DeValue::Float(number) => Written::Toml(Kind::Number, number.as_str().to_owned()),
        _ => Written::OtherToml,
    }
}
