//! What every board must do.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use casewire_bus::{BoardError, DirectoryBoard};
use casewire_domain::WorkspaceId;
use casewire_domain::directory::{Directory, LineEntry, Method};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::on_both;
use crate::rig::{Adapter, PATIENCE, Rig, Settings};

on_both!(
    a_change_is_seen_within_a_second,
    the_directory_is_there_for_who_comes_later,
    an_older_directory_is_refused,
    workers_that_publish_at_once_leave_the_newest,
);

/// A directory of this version with a line of that name.
pub(crate) fn directory(version: i64) -> Directory {
    let id = WorkspaceId::from(uuid_of(version)).0;
    let line = LineEntry {
        id: id.into(),
        webhook_id: format!("line-{version}"),
        account_id: id.into(),
        method: Method::Post,
        active: true,
    };
    Directory { version, accounts: Vec::new(), lines: vec![line] }
}

fn uuid_of(version: i64) -> uuid::Uuid {
    uuid::Uuid::from_u128(version.unsigned_abs().into())
}

pub(crate) type Seen = watch::Receiver<Option<Arc<Directory>>>;

/// Waits until this version is shown.
pub(crate) async fn see(seen: &mut Seen, version: i64, within: Duration) -> Result<Arc<Directory>> {
    let found =
        timeout(within, seen.wait_for(|shown| shown.as_ref().is_some_and(|shown| shown.version == version)));
    Ok(found.await??.clone().expect("it is there"))
}

async fn a_change_is_seen_within_a_second(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let board = rig.board();
    let mut seen = board.watch();
    ensure!(seen.borrow().is_none(), "before the first there is none");
    board.publish(&directory(1)).await?;
    see(&mut seen, 1, PATIENCE).await?;
    for version in 2..5 {
        board.publish(&directory(version)).await?;
        let shown = see(&mut seen, version, Duration::from_secs(1)).await?;
        assert_eq!(*shown, directory(version));
    }
    Ok(())
}

async fn the_directory_is_there_for_who_comes_later(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let board = rig.board();
    board.publish(&directory(7)).await?;
    board.publish(&directory(7)).await?;
    see(&mut board.watch(), 7, PATIENCE).await?;
    Ok(())
}

async fn an_older_directory_is_refused(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let board = rig.board();
    board.publish(&directory(7)).await?;
    let older = board.publish(&directory(6)).await;
    assert_eq!(older, Err(BoardError::Superseded { ours: 6, there: 7 }));
    see(&mut board.watch(), 7, PATIENCE).await?;
    Ok(())
}

async fn workers_that_publish_at_once_leave_the_newest(adapter: Adapter) -> Result<()> {
    let rig = Rig::start(adapter, Settings::default()).await?;
    let board = rig.board();
    let mut seen = board.watch();
    let mut workers = Vec::new();
    for version in 1..=8 {
        let board: Arc<dyn DirectoryBoard> = board.clone();
        workers.push(tokio::spawn(async move { board.publish(&directory(version)).await }));
    }
    for worker in workers {
        let outcome = worker.await?;
        ensure!(matches!(outcome, Ok(()) | Err(BoardError::Superseded { .. })), "{outcome:?}");
    }
    see(&mut seen, 8, PATIENCE).await?;
    Ok(())
}
