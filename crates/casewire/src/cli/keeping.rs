//! Backups, and the way back.

use std::num::NonZero;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;

pub(super) const BACKUP_HELP: &str = "\
Each backup is a folder casewire-<time> of its own, which has this name only once it is whole, checked and on the disk.
The master key is not in it: keep a copy of it elsewhere. PostgreSQL is backed up with pg_dump: see docs/backup.md.

Examples:
  casewire backup --to /var/backups/casewire
  casewire backup --to /var/backups/casewire --keep 14";

pub(super) const RESTORE_HELP: &str = "\
Texts that were on their way when the backup was taken are not sent again by themselves: each is looked for on Twilio's
list, and what is not found there waits for a person. What customers wrote since is brought back from that list.

Examples:
  casewire restore --from /var/backups/casewire --master-key-file master.key
  casewire restore --from /var/backups/casewire/casewire-20261120T020000Z --data-dir /srv/casewire
  casewire restore --in-place --taken-at 2026-11-20T02:00:00Z   after pg_restore, before any worker runs";

#[derive(Args)]
pub struct BackupArgs {
    /// Folder to put it in; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Afterwards remove all but the newest N in that folder [default: keep all]
    #[arg(long, value_name = "N")]
    pub keep: Option<NonZero<usize>>,
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("which").args(["from", "in_place"]).required(true)))]
pub struct RestoreArgs {
    /// A backup, or a folder of backups, of which the newest is taken
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Where the folder holds an installation already, move its files aside
    #[arg(long, requires = "from")]
    pub force: bool,
    /// File with the master key, to be put into the folder; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "from")]
    pub master_key_file: Option<PathBuf>,
    /// The database is back already, by its own tools: only mark what is in it
    #[arg(long, requires = "taken_at")]
    pub in_place: bool,
    /// When the backup was begun that was brought back: as `casewire reconcile --since` takes it
    #[arg(long, value_name = "TIME", requires = "in_place", value_parser = crate::commands::reconcile::since)]
    pub taken_at: Option<DateTime<Utc>>,
}
