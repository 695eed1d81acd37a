//! Settings as written become values of the configuration.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::Config;
use super::mistake::{Mistake, Origin};
use super::source::{Setting, Written};
use super::value::Value;

/// Ends the name of a setting that names the file a secret is in.
const FILE_SUFFIX: &str = "_file";

/// Applies one source's settings. Each that cannot be applied becomes a mistake; the others are applied all the same.
pub(crate) fn settings(config: &mut Config, settings: Vec<Setting>, mistakes: &mut Vec<Mistake>) {
    let mut given = BTreeSet::new();
    for setting in settings {
        let Some(key) = known_key(config, &setting) else {
            mistakes.push(unknown(config, &setting));
            continue;
        };
        let name = format!("{}.{key}", setting.section);
        if !given.insert(name.clone()) {
            let what = format!("`{name}` is given twice: itself and as the name of a file");
            mistakes.push(Mistake::at(setting.origin, what));
            continue;
        }
        match with_value(config, &setting.section, &key, |value| {
            take(value, &setting, &name, key != setting.key)
        }) {
            Some(Err(what)) => mistakes.push(Mistake::at(setting.origin, what)),
            _ => drop(config.origins.insert(name, setting.origin)),
        }
    }
}

/// The key a setting is for: its own name, or without `_file` when that is a secret.
fn known_key(config: &mut Config, setting: &Setting) -> Option<String> {
    let (section, key) = (&setting.section, &setting.key);
    if with_value(config, section, key, |_| ()).is_some() {
        return Some(key.clone());
    }
    let secret = key.strip_suffix(FILE_SUFFIX)?;
    with_value(config, section, secret, |value| value.secret())?.then(|| secret.to_owned())
}

fn with_value<T>(
    config: &mut Config,
    section: &str,
    key: &str,
    f: impl FnOnce(&mut dyn Value) -> T,
) -> Option<T> {
    let (_, section) = config.sections().into_iter().find(|(name, _)| *name == section)?;
    let key = section.keys().into_iter().find(|known| known.name == key)?;
    Some(f(key.value))
}

/// Sets a value from what was written, or says what is wrong.
fn take(value: &mut dyn Value, setting: &Setting, name: &str, by_file: bool) -> Result<(), String> {
    let text = match &setting.value {
        Written::Environment(text) => text,
        Written::Toml(kind, text) if by_file || *kind == value.kind() => text,
        _ => return Err(expected(value, name)),
    };
    if by_file {
        let secret =
            read_secret(text).map_err(|error| format!("the file of `{name}` cannot be read: {error}"))?;
        return if value.set(secret.expose_secret()) {
            Ok(())
        } else {
            Err(format!("the file of `{name}` is empty"))
        };
    }
    if value.set(text) { Ok(()) } else { Err(expected(value, name)) }
}

fn expected(value: &dyn Value, name: &str) -> String {
    format!("`{name}` must be {}", value.expected())
}

fn read_secret(path: &str) -> std::io::Result<SecretString> {
    let text = SecretString::from(std::fs::read_to_string(path)?);
    Ok(text.expose_secret().trim().into())
}

/// The mistake of an unknown setting, with the nearest known one.
fn unknown(config: &mut Config, setting: &Setting) -> Mistake {
    let mut known = Vec::new();
    for (section, keys) in config.sections() {
        known.extend(keys.keys().iter().map(|key| (section, key.name)));
    }
    let wanted = format!("{}.{}", setting.section, setting.key);
    let distance =
        |(section, key): &(&str, &str)| strsim::damerau_levenshtein(&format!("{section}.{key}"), &wanted);
    let nearest = known.into_iter().min_by_key(distance);
    // Further away than a third it is another word, not a slip.
    let hint = nearest.filter(|name| distance(name) * 3 <= wanted.len()).map(|(section, key)| match setting
        .origin
    {
        Origin::Environment(_) => format!("; is {} meant?", variable(section, key)),
        Origin::File { .. } => format!("; is `{key}` of [{section}] meant?"),
    });
    Mistake::at(setting.origin.clone(), format!("`{wanted}` is no setting{}", hint.unwrap_or_default()))
}

/// The environment variable of a setting.
pub(crate) fn variable(section: &str, key: &str) -> String {
    format!("CASEWIRE_{section}__{key}").to_ascii_uppercase()
}
