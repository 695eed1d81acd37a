//! A disk filled to the last byte.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use casewire_runtime::config::{self, Size};
use casewire_testkit::eventually;
use reqwest::StatusCode;
use tempfile::TempDir;

use super::{front, settings, sid, take, text_of};
use crate::fickle::{Fickle, Mood};
use crate::front::{SOON, events};

/// Set for those who may mount, if anybody may.
const AS_ROOT: &str = "CASEWIRE_TEST_AS_ROOT";

/// A small disk in memory.
struct SmallDisk {
    path: PathBuf,
    _folder: TempDir,
}

impl SmallDisk {
    /// `None` when only root may mount one, and we are not.
    fn of(megabytes: usize) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output()?;
        let why = String::from_utf8_lossy(&mounted.stderr);
        ensure!(
            mounted.status.success() || std::env::var_os(AS_ROOT).is_none(),
            "a small disk is needed, and cannot be mounted here even in a user namespace: {why}"
        );
        let disk = Self { path: folder.path().to_owned(), _folder: folder };
        Ok(mounted.status.success().then_some(disk))
    }

    /// Fills it to the last byte.
    fn fill(&self) -> Result<()> {
        use std::io::Write;
        let mut other = std::fs::File::create(self.path.join("other"))?;
        while other.write_all(&[7; 512]).is_ok() {}
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is on its way out. Where nothing was mounted it fails.
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}

/// Runs a test of this program as root of a user namespace, where everybody may mount.
fn again_as_root(test: &str) -> Result<()> {
    let mut unshare = Command::new("unshare");
    let unshare = unshare.args(["--map-root-user", "--mount"]).arg(std::env::current_exe()?);
    let ran = unshare.args(["--exact", test, "--nocapture"]).env(AS_ROOT, "1").output();
    let ran =
        ran.context("neither root nor `unshare` (util-linux) is here, and one is needed to mount a disk")?;
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    ensure!(ran.status.success() && said.contains("1 passed"), "as root of a user namespace: {said}");
    Ok(())
}

#[tokio::test]
async fn a_disk_filled_to_the_last_byte_is_emptied_without_anybodys_help() -> Result<()> {
    let Some(disk) = SmallDisk::of(24)? else {
        return again_as_root("spill::disk::a_disk_filled_to_the_last_byte_is_emptied_without_anybodys_help");
    };
    let stream = Fickle::start(1).await?;
    let front = front(stream.clone(), settings(&disk.path)).await?;
    stream.all(Mood::Away);
    take(&front, 0..50).await?;
    disk.fill()?;
    let mut taken = 50;
    while front.post("/inbound/main", &text_of(taken, taken)).await?.status() == StatusCode::OK {
        taken += 1;
        ensure!(taken < 20_000, "the disk has no end");
    }
    eventually("it says so", SOON, async || front.metric("casewire_spill_taking").is_ok_and(|is| is == "0"))
        .await?;
    let answer = front.post("/inbound/main", &text_of(taken, taken)).await?;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    // The disk is as full as before, and yet everything leaves; what could not be removed at once, a little later.
    stream.all(Mood::Well);
    let left = async || front.metric("casewire_spill_events").is_ok_and(|events| events == "0");
    eventually("the spill is empty", 3 * SOON, left).await?;
    let all = events(stream.as_ref()).await?;
    let ids: BTreeSet<_> = all.iter().map(|event| event.dedupe_id.as_str().to_owned()).collect();
    ensure!(all.len() == ids.len(), "some are there twice");
    // One that was refused may be there as well: that a write failed says nothing.
    ensure!((0..taken).all(|n| ids.iter().any(|id| id.ends_with(&sid(n)))), "some are lost");
    // With room again, or an empty spill, it serves as before.
    std::fs::remove_file(disk.path.join("other"))?;
    eventually("it takes events", SOON, async || {
        front.metric("casewire_spill_taking").is_ok_and(|is| is == "1")
    })
    .await?;
    stream.all(Mood::Away);
    take(&front, taken..taken + 5).await
}

#[tokio::test]
async fn a_reserve_that_an_earlier_run_did_not_finish_is_made_whole() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let settings = config::Ingest { spill_reserve: Size::mib(1), ..settings(folder.path()) };
    let reserve = folder.path().join("spill/reserve");
    let length = || std::fs::metadata(&reserve).map(|file| file.len());
    front(stream.clone(), settings.clone()).await?.end().await?;
    let whole = length()?;
    assert_eq!(whole, 1 << 20);
    std::fs::File::options().write(true).open(&reserve)?.set_len(whole / 2)?;
    let _front = front(stream, settings).await?;
    assert_eq!(length()?, whole);
    Ok(())
}
