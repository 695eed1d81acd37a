//! The installation a command works on: configured, or the folder of `casewire up`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use casewire_domain::seal::MasterKey;
use casewire_runtime::config::{Config, environment};
use casewire_store::Store;
use secrecy::ExposeSecret;

use crate::cli::{Listen, Place};
use crate::data_dir::{DataDir, Running};
use crate::{keys, wiring};

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "casewire.toml";

/// The configuration of this place, the command line over it.
pub fn config(place: &Place, listen: Option<&Listen>) -> anyhow::Result<Config> {
    let default = PathBuf::from(DEFAULT_FILE);
    let file = place.config.clone().or_else(|| default.exists().then_some(default));
    let mut config = Config::load(file.as_deref(), environment(), Config::default())?;
    if let Some(dir) = &place.data_dir {
        config.data.dir.clone_from(dir);
    }
    if let Some(listen) = listen {
        config.server.listen = listen.listen.unwrap_or(config.server.listen);
        config.server.ops_listen = listen.ops_listen.unwrap_or(config.server.ops_listen);
    }
    Ok(config)
}

/// How a sentence begins about a database that cannot be used.
pub fn unusable(config: &Config, data: &Path) -> String {
    match config.database.url {
        Some(_) => "the database of `database.url` cannot be used".to_owned(),
        None => format!("{} cannot be used", DataDir::new(data).database().display()),
    }
}

/// An installation whose database is open and of this version.
pub struct Installation {
    pub config: Config,
    pub store: Store,
    data: Option<DataDir>,
}

impl Installation {
    /// Opens the installation of this place. Without a configured database it is the folder of `up`, which
    /// may be running beside.
    pub async fn open(place: &Place) -> anyhow::Result<Self> {
        let config = config(place, None)?;
        let data = config.database.url.is_none().then(|| DataDir::new(&config.data.dir));
        if let Some(data) = &data
            && !data.database().exists()
        {
            bail!(
                "there is no casewire database in {}: start `casewire up` first, or name its folder with --data-dir \
                 or a configuration with --config",
                data.path().display()
            );
        }
        let unusable = || unusable(&config, &config.data.dir);
        let store = Store::open(&wiring::database(&config, data.as_ref())).await.with_context(unusable)?;
        store.check_schema().await.with_context(unusable)?;
        Ok(Self { config, store, data })
    }

    /// The master key, checked against the database.
    pub async fn master_key(&self) -> anyhow::Result<MasterKey> {
        let text = match (&self.config.keys.master_key, &self.data) {
            (Some(key), _) => key.expose_secret().to_owned(),
            (None, Some(data)) => data
                .master_key()?
                .with_context(|| format!("there is no master key in {}", data.path().display()))?,
            (None, None) => bail!("`keys.master_key` is not set"),
        };
        let key = keys::parse(&text)?;
        keys::check(&self.store, &key).await?;
        Ok(key)
    }

    /// What the `up` beside this command recorded; none for a configured installation.
    pub fn running(&self) -> Option<Running> {
        self.data.as_ref().and_then(DataDir::running)
    }

    /// Where the provider reaches this installation.
    pub fn public_url(&self) -> anyhow::Result<String> {
        let configured = self.config.server.public_url.as_ref().map(|url| url.as_str().to_owned());
        configured
            .or_else(|| self.running().map(|running| running.public_url))
            .context("`server.public_url` is not set: every webhook URL begins with it")
    }
}
