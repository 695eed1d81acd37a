//! Rows 7 and 8: no room. A full disk under the stream, the database and the spill; a stream that holds all it may.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use casewire_bus::Stream;
use tempfile::TempDir;

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::load::Flow;
use crate::plan::Plan;

/// A small disk of its own, in memory. Only root may make one.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn new(megabytes: u32) -> Option<Self> {
        if fs::metadata("/proc/self").ok()?.uid() != 0 {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("casewire-disk-").tempdir_in("/tmp").ok()?;
        let options = format!("size={megabytes}m,mode=777");
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        let mounted = mount.status().ok()?.success();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).ok()?;
        mounted.then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let piece = vec![7; 64 * 1024];
        while ballast.write_all(&piece).is_ok() {}
        while ballast.write_all(&[7]).is_ok() {}
    }

    /// Makes room again.
    fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is on its way out.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Row 7.
pub(crate) async fn full(knobs: Knobs) -> Outcome {
    let Some(disk) = Disk::new(96) else {
        return Outcome::not_run("needs root: it mounts a small disk of its own (tmpfs)");
    };
    let mut outcome = under_the_stream(disk, knobs.clone()).await;
    let (one, other) = (Disk::new(256).unwrap(), Disk::new(24).unwrap());
    outcome.join("postgres", under_the_database(one, knobs.clone()).await);
    outcome.join("spill", under_the_spill(other, knobs).await);
    outcome
}

async fn under_the_stream(disk: Disk, knobs: Knobs) -> Outcome {
    let hold = Duration::from_secs(knobs.of(15, 4));
    let flow = Flow::open(knobs.rate() / 2.0, 1_000, knobs.seed);
    let store = format!("jetstream {{ store_dir: {:?}, max_file_store: 8GB }}", disk.path());
    let mut scene = Scene::open(Plan::of(1, 1).nats(&store), knobs, flow).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    disk.fill();
    scene.faulty();
    tokio::time::sleep(hold).await;
    scene.faulty();
    disk.clear();
    let refused = scene.books().answered(503);
    scene.outcome.insist(refused > 0, || "no text was refused: the disk was not full".to_owned());
    // Some versions of the server go on by themselves; 2.9 hangs until it is started again, and loses nothing.
    let alone = scene.stage.comes_back(Duration::from_secs(10)).await;
    scene.outcome.figure("nats_recovered_alone", alone);
    if !alone {
        scene.stage.nats.restart().await.unwrap();
    }
    let back = scene.stage.flows_again(Duration::from_secs(60)).await;
    scene.outcome.figure("nats_back_s", round(back.as_secs_f64()));
    scene.close(Expected::default()).await
}

async fn under_the_database(disk: Disk, knobs: Knobs) -> Outcome {
    let hold = Duration::from_secs(knobs.of(15, 4));
    let flow = Flow::open(knobs.rate() / 2.0, 1_000, knobs.seed);
    let mut scene = Scene::open(Plan::of(1, 1).postgres_in(disk.path()), knobs, flow).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    disk.fill();
    scene.faulty();
    tokio::time::sleep(hold).await;
    scene.faulty();
    let waiting = scene.stage.backlog().await.unwrap_or_default();
    scene.outcome.figure("backlog", waiting);
    scene.outcome.insist(waiting > 0, || "nothing waited: the disk was not full".to_owned());
    disk.clear();
    // A server that cannot write its log ends itself.
    let alone = scene.stage.try_rows("select 1").await.is_some();
    scene.outcome.figure("recovered_alone", alone);
    if !alone {
        scene.stage.postgres.restart().await.unwrap();
    }
    let back = scene.stage.flows_again(Duration::from_secs(60)).await;
    scene.outcome.figure("back_s", round(back.as_secs_f64()));
    scene.close(Expected::default()).await
}

async fn under_the_spill(disk: Disk, knobs: Knobs) -> Outcome {
    let hold = Duration::from_secs(knobs.of(15, 5));
    let flow = Flow::open(knobs.rate() / 2.0, 1_000, knobs.seed);
    let plan = Plan::of(1, 1).set("INGEST__SPILL_DIR", &disk.path().join("spill").to_string_lossy());
    let mut scene = Scene::open(plan, knobs, flow).await;
    scene.stage.nats.kill().unwrap();
    scene.faulty();
    tokio::time::sleep(hold).await;
    let (spilled, refused) = (scene.books().taken(), scene.books().answered(503));
    disk.fill();
    let full = Instant::now();
    tokio::time::sleep(hold).await;
    scene.faulty();
    let refused = scene.books().answered(503) - refused;
    scene.outcome.figure("refused_while_full", refused);
    scene.outcome.insist(refused > 0, || "no text was refused: the disk was not full".to_owned());
    let longest = scene.books().latency(full, Instant::now()).longest;
    scene.outcome.insist(longest <= Duration::from_secs(4), || format!("an answer took {longest:?}"));
    disk.clear();
    let again = async || scene.books().taken() > spilled + 20;
    let taken = casewire_testkit::eventually("texts are taken again", Duration::from_secs(60), again).await;
    scene.outcome.insist(taken.is_ok(), || "with room again, the spill took no text".to_owned());
    scene.stage.nats.restart().await.unwrap();
    let back = scene.stage.flows_again(Duration::from_secs(60)).await;
    scene.outcome.figure("back_s", round(back.as_secs_f64()));
    scene.close(Expected::default()).await
}

/// Row 8: a stream that holds all it may refuses; nothing is dropped; with a spill, texts are taken all the same.
pub(crate) async fn stream_full(knobs: Knobs) -> Outcome {
    let mut outcome = filled(knobs.clone(), None).await;
    let folder = TempDir::new().unwrap();
    outcome.join("with_spill", filled(knobs, Some(folder.path())).await);
    outcome
}

async fn filled(knobs: Knobs, spill: Option<&Path>) -> Outcome {
    let flow = Flow::open(knobs.rate(), 1_000, knobs.seed);
    let mut plan = Plan::of(1, 1).set("STREAM__SHARDS", "1").set("STREAM__MAX_BYTES", "512KiB");
    // What is verified leaves the stream within seconds instead of half an hour.
    plan = plan.set("STREAM__DUPLICATE_WINDOW", "1s");
    plan = plan.set("WORKER__SWEEP_INTERVAL", "2s").set("WORKER__SWEEP_SETTLE", "1s");
    if let Some(folder) = spill {
        plan = plan.set("INGEST__SPILL_DIR", &folder.to_string_lossy());
    }
    let mut scene = Scene::open(plan, knobs, flow).await;
    // With nobody to handle and to sweep it fills up.
    scene.stage.workers[0].kill();
    scene.faulty();
    let full = async || {
        let shards = scene.stage.stream.backlog().await.unwrap_or_default();
        shards.iter().any(|shard| shard.bytes * 100 > (512 << 10) * 97)
    };
    let filled = casewire_testkit::eventually("the stream is full", Duration::from_secs(120), full).await;
    scene.outcome.insist(filled.is_ok(), || "the stream was never full".to_owned());
    tokio::time::sleep(Duration::from_secs(scene.knobs.of(10, 3))).await;
    scene.faulty();
    let refused = scene.books().answered(503);
    scene.stage.workers[0].start().await;
    let start = Instant::now();
    let room = async || {
        scene
            .stage
            .stream
            .backlog()
            .await
            .is_ok_and(|shards| shards.iter().all(|shard| shard.bytes * 2 < 512 << 10))
    };
    let swept = casewire_testkit::eventually("there is room", Duration::from_secs(60), room).await;
    scene.outcome.insist(swept.is_ok(), || "what was verified did not leave the stream".to_owned());
    scene.outcome.figure("room_s", round(start.elapsed().as_secs_f64()));
    scene.outcome.insist((refused > 0) == spill.is_none(), || format!("{refused} texts were refused"));
    scene.close(Expected::default()).await
}
