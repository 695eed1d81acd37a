//! With a spill: what ingest answers while the stream is away, and that all of it reaches the stream afterwards, once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use casewire_bus::{DirectoryBoard, JetStream, JetStreamConfig, Stream, shard_of};
use casewire_domain::{Event, Source};
use casewire_ingest::{Spill, SpillError};
use casewire_runtime::config;
use casewire_runtime::ops::Check;
use casewire_testkit::{NatsServer, eventually};
use casewire_twilio::parameters::Parameters;
use reqwest::StatusCode;

use crate::fickle::{Fickle, Mood};
use crate::front::{Front, SOON, directory, events, text};

fn sid(n: usize) -> String {
    format!("SM{n:032x}")
}

/// A text of one of many people.
fn text_of(person: usize, n: usize) -> Parameters {
    let mut form: Parameters = text(&sid(n), "hi").iter().filter(|(name, _)| *name != "From").collect();
    form.push("From", &number(person));
    form
}

fn number(person: usize) -> String {
    format!("+1206555{person:04}")
}

/// Somebody whose texts are of this shard.
fn person_of(shard: u32, shards: u32) -> usize {
    (0..1000).find(|person| shard_of("main", &number(*person), shards) == shard).unwrap_or_default()
}

/// A spill in this folder, with waits that suit a test.
fn settings(folder: &Path) -> config::Ingest {
    config::Ingest {
        spill_dir: Some(folder.join("spill")),
        spill_after: Duration::from_millis(300),
        probe_interval: Duration::from_millis(50),
        ..Default::default()
    }
}

/// With the line `main`.
async fn front(stream: Arc<dyn Stream>, settings: config::Ingest) -> Result<Front> {
    let front = Front::spilling(stream, settings).await?;
    front.board.publish(&directory()).await?;
    eventually("the line is known", SOON, async || front.health.readiness().iter().all(is_ok)).await?;
    Ok(front)
}

fn is_ok(check: &Check) -> bool {
    check.ok
}

/// Sends texts that must be taken.
async fn take(front: &Front, texts: std::ops::Range<usize>) -> Result<()> {
    for n in texts {
        let status = front.post("/inbound/main", &text_of(n, n)).await?.status();
        ensure!(status == StatusCode::OK, "text {n} got {status}");
    }
    Ok(())
}

/// Waits until the spill is empty, and returns all that is on the stream, which must be each of so many texts once.
async fn all_once(front: &Front, stream: &dyn Stream, texts: usize) -> Result<Vec<Event>> {
    eventually("the spill is empty", SOON, async || {
        front.metric("casewire_spill_events").is_ok_and(|events| events == "0")
            && sum(front, "casewire_spill_kept_total").ok() == sum(front, "casewire_spill_drained_total").ok()
    })
    .await?;
    let all = events(stream).await?;
    let ids: BTreeSet<_> = all.iter().map(|event| event.dedupe_id.as_str().to_owned()).collect();
    ensure!((all.len(), ids.len()) == (texts, texts), "{} events of {} texts", all.len(), ids.len());
    Ok(all)
}

/// A counter over all its labels.
fn sum(front: &Front, name: &str) -> Result<u64> {
    let text = front.metrics.encode()?;
    let values =
        text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
}

fn refused(front: &Front, reason: &str) -> Result<String> {
    front.metric(&format!("casewire_spill_refused_total{{reason=\"{reason}\"}}"))
}

async fn jetstream(server: &NatsServer) -> Result<Arc<JetStream>> {
    casewire_testkit::http::install_tls();
    let config = JetStreamConfig { url: server.url(), max_bytes: 16 << 20, ..Default::default() };
    let stream = JetStream::connect(config).await?;
    ensure!(stream.wait_connected(SOON).await, "connected");
    stream.prepare().await?;
    Ok(Arc::new(stream))
}

#[tokio::test]
async fn a_text_that_the_stream_does_not_take_is_kept_and_reaches_it_as_it_came() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Away);
    let before = chrono::Utc::now();
    take(&front, 0..1).await?;
    let after = chrono::Utc::now();
    assert_eq!(sum(&front, "casewire_webhook_requests_total{kind=\"inbound\",outcome=\"spilled\"}")?, 1);
    stream.all(Mood::Well);
    let [event] = all_once(&front, stream.as_ref(), 1).await?.try_into().expect("one");
    assert!(event.dedupe_id.as_str().ends_with(&sid(0)));
    assert_eq!((event.source, event.line.as_str()), (Source::Spill, "main"));
    assert!((before..=after).contains(&event.received_at), "when it came, not when it was drained");
    assert!(event.trace.contains_key("traceparent") || event.trace.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_killed_and_a_frozen_server_cost_no_text_and_hardly_any_time() -> Result<()> {
    let (folder, server) = (tempfile::tempdir()?, NatsServer::start().await?);
    let stream = jetstream(&server).await?;
    let front = front(stream.clone(), settings(folder.path())).await?;
    take(&front, 0..20).await?;
    server.kill()?;
    let started = Instant::now();
    take(&front, 20..120).await?;
    let gone = started.elapsed();
    server.restart().await?;
    eventually("the breakers close", SOON, async || {
        sum(&front, "casewire_spill_breaker_open").ok() == Some(0)
    })
    .await?;
    server.pause()?;
    let started = Instant::now();
    take(&front, 120..220).await?;
    let frozen = started.elapsed();
    server.resume()?;
    all_once(&front, stream.as_ref(), 220).await?;
    // Of a frozen one, three texts of each of four shards wait, one after the other here.
    assert!(gone < Duration::from_secs(5) && frozen < Duration::from_secs(10), "{gone:?}, {frozen:?}");
    Ok(())
}

#[tokio::test]
async fn after_the_first_failures_nobody_waits_until_a_probe_finds_the_stream_back() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Hangs);
    let started = Instant::now();
    take(&front, 0..3).await?;
    let waited = started.elapsed();
    let started = Instant::now();
    take(&front, 3..23).await?;
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
    assert!(started.elapsed() < waited, "{:?} for twenty", started.elapsed());
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "1");
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), 23).await?;
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    let kept = sum(&front, "casewire_spill_kept_total")?;
    take(&front, 23..30).await?;
    assert_eq!(sum(&front, "casewire_spill_kept_total")?, kept, "the stream takes them again");
    Ok(())
}

#[tokio::test]
async fn what_the_stream_stored_without_saying_so_is_there_once() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Mute);
    take(&front, 0..2).await?;
    assert_eq!(sum(&front, "casewire_spill_kept_total")?, 2);
    // The one who empties it waits too, and the end finds its events where they were.
    front.end().await?;
    stream.all(Mood::Well);
    let front = self::front(stream.clone(), settings(folder.path())).await?;
    let all = events_of(&front, stream.as_ref(), 2).await?;
    assert!(all.iter().all(|event| event.source == Source::Webhook), "the first way was the one");
    Ok(())
}

/// Waits until the spill is empty; what is on the stream must be so many.
async fn events_of(front: &Front, stream: &dyn Stream, texts: usize) -> Result<Vec<Event>> {
    let drained = async || sum(front, "casewire_spill_drained_total").ok() == Some(texts as u64);
    eventually("all was drained", SOON, drained).await?;
    let all = events(stream).await?;
    ensure!(all.len() == texts, "{all:?}");
    Ok(all)
}

#[tokio::test]
async fn one_shard_that_is_full_concerns_no_other() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(2).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    let (unlucky, lucky) = (person_of(1, 2), person_of(0, 2));
    stream.one(1, Mood::Full);
    for n in 0..5 {
        for (turn, person) in [unlucky, lucky].into_iter().enumerate() {
            let answer = front.post("/inbound/main", &text_of(person, 2 * n + turn)).await?;
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    assert_eq!(front.metric("casewire_spill_kept_total{stream=\"IN_1\"}")?, "5");
    assert_eq!(front.metric("casewire_spill_kept_total{stream=\"IN_0\"}")?, "0");
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), 10).await?;
    Ok(())
}

#[tokio::test]
async fn what_an_ended_ingest_left_is_drained_by_the_next_in_its_order() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    stream.all(Mood::Away);
    let first = front(stream.clone(), settings(folder.path())).await?;
    take(&first, 0..200).await?;
    first.end().await?;
    stream.all(Mood::Well);
    let second = front(stream.clone(), settings(folder.path())).await?;
    let all = events_of(&second, stream.as_ref(), 200).await?;
    let order: Vec<_> = all.iter().map(|event| event.dedupe_id.as_str().to_owned()).collect();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(order, sorted);
    Ok(())
}

#[tokio::test]
async fn an_ingest_that_starts_while_the_stream_is_away_knows_its_lines_and_takes_texts() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let first = front(stream.clone(), settings(folder.path())).await?;
    let kept = folder.path().join("spill/directory.json");
    eventually("the directory is kept", SOON, async || kept.exists()).await?;
    first.end().await?;
    stream.all(Mood::Away);
    let second = Front::spilling(stream.clone(), settings(folder.path())).await?;
    assert!(second.health.readiness().iter().all(is_ok), "{:?}", second.health.readiness());
    take(&second, 0..3).await?;
    // The stream's own directory has the last word, whatever was remembered.
    second.board.publish(&casewire_domain::directory::Directory::default()).await?;
    eventually("the line is gone", SOON, async || {
        let answer = second.post("/inbound/main", &text_of(9, 9)).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::FORBIDDEN)
    })
    .await?;
    stream.all(Mood::Well);
    events_of(&second, stream.as_ref(), 3).await?;
    Ok(())
}

#[tokio::test]
async fn a_full_spill_refuses_with_503_and_takes_again_what_there_is_room_for() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let small = config::Ingest { spill_max_bytes: config::Size::kib(8), ..settings(folder.path()) };
    let front = front(stream.clone(), small).await?;
    stream.all(Mood::Away);
    let mut taken = 0;
    while front.post("/inbound/main", &text_of(taken, taken)).await?.status() == StatusCode::OK {
        taken += 1;
        ensure!(taken < 100, "it has no bound");
    }
    assert!(taken > 5, "only {taken} fitted");
    assert_eq!(refused(&front, "full")?, "1");
    let answer = front.post("/inbound/main", &text_of(1000, 1000)).await?;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "2");
    eventually("it says so", SOON, async || front.metric("casewire_spill_taking").is_ok_and(|is| is == "0"))
        .await?;
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), taken).await?;
    stream.all(Mood::Away);
    take(&front, taken..taken + 5).await?;
    stream.all(Mood::Well);
    events_of_all(&front, taken + 5).await
}

async fn events_of_all(front: &Front, texts: usize) -> Result<()> {
    let drained = async || sum(front, "casewire_spill_drained_total").ok() == Some(texts as u64);
    eventually("all was drained", SOON, drained).await
}

#[tokio::test]
async fn behind_an_event_that_waits_for_too_long_no_more_are_taken_and_none_is_given_up() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let short = config::Ingest { spill_max_age: Duration::from_millis(500), ..settings(folder.path()) };
    let front = front(stream.clone(), short).await?;
    stream.all(Mood::Away);
    take(&front, 0..1).await?;
    let (started, mut taken) = (Instant::now(), 1);
    while front.post("/inbound/main", &text_of(taken, taken)).await?.status() == StatusCode::OK {
        taken += 1;
        ensure!(started.elapsed() < SOON, "it is never too old");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        (refused(&front, "aged")?.as_str(), front.metric("casewire_spill_taking")?.as_str()),
        ("1", "0")
    );
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), taken).await?;
    Ok(())
}

#[tokio::test]
async fn what_the_stream_refuses_for_its_own_sake_stays_and_lets_the_others_pass() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Picky("0"));
    take(&front, 0..1).await?;
    take(&front, 1..6).await?;
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    eventually("it was tried", SOON, async || sum(&front, "casewire_spill_put_off_total").ok() == Some(1))
        .await?;
    stream.all(Mood::Away);
    take(&front, 6..10).await?;
    stream.all(Mood::Picky("0"));
    events_of_all(&front, 4).await?;
    assert_eq!(events(stream.as_ref()).await?.len(), 9);
    eventually("it is still there", SOON, async || {
        front.metric("casewire_spill_events").is_ok_and(|is| is == "1")
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_second_ingest_in_the_same_folder_is_refused_in_a_sentence() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let _front = front(stream.clone(), settings(folder.path())).await?;
    let settings = settings(folder.path());
    let path = settings.spill_dir.clone().expect("a folder");
    let error = Spill::open(&path, &settings, 1).await.err().expect("refused");
    assert!(matches!(error, SpillError::InUse(_)), "{error:?}");
    assert!(error.to_string().starts_with("another ingest uses the spill folder"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_spill_is_readable_for_its_owner_alone() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    stream.all(Mood::Away);
    let front = front(stream.clone(), settings(folder.path())).await?;
    take(&front, 0..1).await?;
    let spill = folder.path().join("spill");
    eventually("the directory is kept", SOON, async || spill.join("directory.json").exists()).await?;
    for entry in std::fs::read_dir(&spill)? {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.path());
    }
    assert_eq!(std::fs::metadata(&spill)?.permissions().mode() & 0o077, 0);
    Ok(())
}

#[tokio::test]
async fn with_room_in_the_spill_an_ingest_is_ready_however_long_the_stream_is_away() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let impatient = config::Ingest { stream_grace: Duration::ZERO, ..settings(folder.path()) };
    let small = config::Ingest { spill_max_bytes: config::Size::kib(2), ..impatient };
    let front = front(stream.clone(), small).await?;
    stream.all(Mood::Away);
    take(&front, 0..1).await?;
    assert!(front.health.readiness().iter().all(is_ok), "{:?}", front.health.readiness());
    let mut n = 1;
    while front.post("/inbound/main", &text_of(n, n)).await?.status() == StatusCode::OK {
        n += 1;
    }
    let refused = async || !front.health.readiness().iter().all(is_ok);
    eventually("without room it is not", SOON, refused).await?;
    let asked = stream.asked();
    assert_eq!(front.post("/inbound/main", &text_of(n, n)).await?.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(stream.asked() > asked, "with a full spill the stream is asked after all");
    Ok(())
}

/// A small disk in memory, which only root may have.
struct SmallDisk {
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    fn of(megabytes: usize) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={megabytes}m");
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        let disk = Self { path: folder.path().to_owned(), _folder: folder };
        Ok(mounted.is_ok_and(|mounted| mounted.status.success()).then_some(disk))
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
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.path).output();
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "who reads the output should know what was not shown")]
async fn a_disk_filled_to_the_last_byte_is_emptied_without_anybodys_help() -> Result<()> {
    let Some(disk) = SmallDisk::of(24)? else {
        eprintln!("not run: only root may mount a small disk");
        return Ok(());
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
