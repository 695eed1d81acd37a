//! Configuration: a TOML file under environment variables under a secret's file.
//!
//! A setting `key` of `[section]` is also `CASEWIRE_SECTION__KEY`; a secret may instead be named by file, as
//! `key_file` or `CASEWIRE_SECTION__KEY_FILE`, and is read without the white space around it. The environment goes
//! before the file. What is unknown is refused, and all mistakes are told at once. Relative paths, wherever they
//! are written, start at the working directory.

mod apply;
mod check;
mod data;
mod database;
mod guard;
mod ingest;
mod keys;
mod mistake;
mod render;
mod section;
mod sender;
mod server;
mod source;
mod stream;
mod telemetry;
mod twilio;
mod units;
mod url;
mod value;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub use check::Role;
pub use data::Data;
pub use database::Database;
pub use guard::Guard;
pub use ingest::{Ingest, RefusalStatus};
pub use keys::Keys;
pub use mistake::{Mistake, Mistakes, Origin};
pub use sender::Sender;
pub use server::{DEFAULT_OPS_LISTEN, DEFAULT_UNREADY_TIME, Server};
pub use source::environment;
pub use stream::Stream;
pub use telemetry::{LogFilter, LogFormat, Telemetry};
pub use twilio::{AccountSid, Number, Twilio};
pub use units::{Share, Size};
pub use url::{HttpUrl, NatsUrl};
pub use worker::Worker;

use section::Section;

/// Declares the configuration: a field per section.
macro_rules! config {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty,)*) => {
        /// Everything that can be configured. `Default` is what holds when nothing is.
        #[derive(Clone, Debug, Default)]
        pub struct Config {
            $($(#[doc = $doc])* pub $name: $type,)*
            /// Where each setting that is not a default was written, by `section.key`.
            origins: BTreeMap<String, Origin>,
        }

        impl Config {
            /// Every section with its name, in the order of declaration.
            fn sections(&mut self) -> Vec<(&'static str, &mut dyn Section)> {
                vec![$((stringify!($name), &mut self.$name as &mut dyn Section)),*]
            }
        }
    };
}

config! {
    /// Where a role listens.
    server: Server,
    /// What a webhook may be.
    ingest: Ingest,
    /// The stream between ingest and worker.
    stream: Stream,
    /// Where cases live.
    database: Database,
    /// What credentials are sealed with.
    keys: Keys,
    /// How events are taken from the stream.
    worker: Worker,
    /// How the outbox reaches the provider.
    sender: Sender,
    /// What keeps automatons from texting each other.
    guard: Guard,
    /// The account and number that `up` serves.
    twilio: Twilio,
    /// Logs and traces.
    telemetry: Telemetry,
    /// What is kept on local disk.
    data: Data,
}

impl Config {
    /// Reads a configuration: `defaults` under `file` under `env` (see [`environment`]).
    ///
    /// # Errors
    /// All mistakes at once, each with its file and line or its variable, none with a value.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        defaults: Self,
    ) -> Result<Self, Mistakes> {
        let mut config = defaults;
        let mut mistakes = Vec::new();
        let from_file = file.map(|path| source::from_file(path, &mut mistakes)).unwrap_or_default();
        apply::settings(&mut config, from_file, &mut mistakes);
        apply::settings(&mut config, source::from_environment(env), &mut mistakes);
        mistakes.extend(check::mistakes_alone(&config));
        // Beside a setting that could not be read, the others may only seem not to fit.
        if mistakes.is_empty() {
            mistakes.extend(check::mistakes_together(&config));
        }
        Mistakes::none_in(mistakes).map(|()| config)
    }

    /// Where the setting `section.key` was written; `None` when it has its default.
    pub fn origin(&self, setting: &str) -> Option<&Origin> {
        self.origins.get(setting)
    }
}
