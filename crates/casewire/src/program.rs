//! The program as it was started, for command lines that a person can paste.

use std::path::Path;

use casewire_runtime::config::Config;

use crate::cli::Place;

/// The beginning of a command line that works beside the `up` of this place, from the same folder.
pub fn beside(place: &Place, data: &Path) -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "casewire".into());
    let mut words = vec![quoted(&program.to_string_lossy())];
    if let Some(config) = &place.config {
        words.extend(["--config".to_owned(), quoted(&config.to_string_lossy())]);
    }
    let elsewhere = place.data_dir.is_some() || place.config.is_none();
    if elsewhere && data != Config::default().data.dir {
        words.extend(["--data-dir".to_owned(), quoted(&data.to_string_lossy())]);
    }
    words.join(" ")
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,=~".contains(c);
    if !word.is_empty() && !word.starts_with('~') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_and_quotes_can_be_pasted() {
        assert_eq!(quoted("target/release/casewire"), "target/release/casewire");
        assert_eq!(quoted("/tmp/my folder"), "'/tmp/my folder'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn only_what_is_not_usual_is_named() {
        let place = |config: Option<&str>, data: Option<&str>| Place {
            config: config.map(Into::into),
            data_dir: data.map(Into::into),
        };
        let after = |place: &Place, data: &str| {
            let line = beside(place, Path::new(data));
            line.split_once(" --").map(|(_, rest)| format!("--{rest}")).unwrap_or_default()
        };
        assert_eq!(after(&place(None, None), "casewire-data"), "");
        assert_eq!(after(&place(None, Some("here")), "here"), "--data-dir here");
        assert_eq!(after(&place(Some("c.toml"), None), "there"), "--config c.toml");
        assert_eq!(after(&place(Some("c.toml"), Some("here")), "here"), "--config c.toml --data-dir here");
    }
}
