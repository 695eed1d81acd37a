//! `casewire check-config`: every mistake at once, and what holds.

use casewire_runtime::config::Role;

use crate::cli::{CheckConfigArgs, Place, RoleName};
use crate::installation;
use crate::printing::{complain, say};

pub fn run(place: &Place, args: &CheckConfigArgs) -> anyhow::Result<()> {
    let config = installation::config(place, None)?;
    if let Some(role) = args.role {
        config.require(role.into())?;
    }
    say!("{}", config.effective().trim_end())?;
    for warning in config.warnings() {
        complain(format_args!("warning: {warning}"));
    }
    Ok(())
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Up => Self::Up,
            RoleName::Ingest => Self::Ingest,
            RoleName::Worker => Self::Worker,
            RoleName::Desk => Self::Desk,
            RoleName::Migrate => Self::Migrate,
        }
    }
}
