//! What checks stand on: the configuration, and what could be opened of it.

use anyhow::Context;
use casewire_domain::seal::MasterKey;
use casewire_runtime::config::Config;
use casewire_store::Store;
use secrecy::ExposeSecret;

use crate::cli::Place;
use crate::data_dir::{DataDir, Running};
use crate::{keys, program, wiring};

pub struct Ground {
    pub config: Config,
    /// The folder of `up`, where that is what is looked at.
    pub data: Option<DataDir>,
    /// What the `up` on it recorded, while it runs.
    pub running: Option<Running>,
    /// The database, opened and not asked yet; else why not.
    pub store: Result<Store, String>,
    /// What command lines begin with that work here.
    pub program: String,
}

impl Ground {
    pub async fn new(place: &Place, config: Config) -> Self {
        let data = config.database.url.is_none().then(|| DataDir::new(&config.data.dir));
        let runs = |data: &DataDir| data.database().exists() && matches!(data.try_hold(), Ok(None));
        let running = data.as_ref().filter(|data| runs(data)).and_then(DataDir::running);
        let store = match &data {
            // Opening it would make it.
            Some(data) if !data.database().exists() => {
                Err(format!("there is no casewire database in {}", data.path().display()))
            }
            _ => Store::open(&wiring::database(&config, data.as_ref()))
                .await
                .map_err(|error| error.to_string()),
        };
        let program = program::beside(place, &config.data.dir);
        Self { config, data, running, store, program }
    }

    /// The master key, as the roles have it.
    pub fn master_key(&self) -> anyhow::Result<MasterKey> {
        let text = match (&self.config.keys.master_key, &self.data) {
            (Some(key), _) => key.expose_secret().to_owned(),
            (None, Some(data)) => {
                let missing = || format!("{} is not there", data.master_key_file().display());
                data.master_key()?.with_context(missing)?
            }
            (None, None) => anyhow::bail!("`keys.master_key` is not set"),
        };
        keys::parse(&text)
    }

    /// Where the provider reaches this installation, as far as that is known.
    pub fn public_url(&self) -> Option<String> {
        let configured = self.config.server.public_url.as_ref().map(|url| url.as_str().to_owned());
        configured.or_else(|| Some(self.running.as_ref()?.public_url.clone()))
    }

    /// Where the provider's API is; else why nobody can be asked.
    pub fn api(&self) -> Result<String, &'static str> {
        let simulated = self.data.is_some() && self.config.twilio.account_sid.is_none();
        match &self.running {
            Some(Running { api: Some(api), .. }) => Ok(api.clone()),
            Some(Running { simulator: Some(_), .. }) => {
                Err("the running `up` is of an older version and does not tell where its simulator is")
            }
            None if simulated => Err("the simulated Twilio is there only while `casewire up` runs"),
            _ => Ok(self.config.twilio.api_base_url.as_str().to_owned()),
        }
    }
}
