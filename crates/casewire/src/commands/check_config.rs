//! `casewire check-config`: every mistake at once, and what holds.

use casewire_runtime::config::Role;

use crate::cli::{CheckConfigArgs, Place, RoleName};
use crate::installation;

pub fn run(place: &Place, args: &CheckConfigArgs) -> anyhow::Result<()> {
    let config = installation::config(place, None)?;
    if let Some(role) = args.role {
        config.require(role.into())?;
    }
    print!("{}", config.effective());
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
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
