//! What happens in one seed: texts and replies come while things go wrong, then everything heals and comes to rest.

use std::sync::Arc;
use std::time::Duration;

use casewire_bus::LocalDirectory;
use casewire_domain::case::CaseStatus;
use casewire_domain::command::{Command, Reply};
use casewire_domain::directory::AccountEntry;
use casewire_domain::line::{
    Acknowledgements, DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard, Line, Rules, WhenUncertain,
};
use casewire_domain::outbox::OutboxState;
use casewire_domain::seal::{MasterKey, NONCE_LEN};
use casewire_domain::template::Template;
use casewire_domain::{AccountId, DedupeId, LineId, Region, Text};
use casewire_runtime::config;
use casewire_runtime::ops::{Health, Metrics};
use casewire_runtime::shutdown::Shutdown;
use casewire_worker::Deps;
use tokio::runtime::Builder;
use tokio::time::sleep;
use uuid::Uuid;

use super::check::{self, Told};
use super::database::SimDatabase;
use super::dice::Dice;
use super::provider::SimProvider;
use super::stream::SimStream;
use super::tables::{Tables, WORKSPACE};
use super::world::{Clock, Process, Safeguard, Shared, Tally, World};
use super::{PUBLIC_URL, words};
use crate::words::{ACCOUNT, LINE, TOKEN, number, person};

/// For how long things go wrong.
const STORM: u64 = 60_000;

/// By when everything has come to rest, clocks that jumped an hour included.
const REST: Duration = Duration::from_secs(3 * 3600);

/// What one seed did.
pub(crate) struct Report {
    pub(crate) fingerprint: u64,
    pub(crate) tally: Tally,
}

/// Plays a seed; why it went wrong, if it did.
pub(crate) fn play(seed: u64, without: Option<Safeguard>, tell: bool) -> Result<Report, String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = world(seed, without, tell);
        let told = act(&world).await;
        let rested = rest(&world).await;
        let world = world.lock();
        rested?;
        let tally = check::check(&world, &told)?;
        Ok(Report { fingerprint: world.fingerprint, tally })
    })
}

fn world(seed: u64, without: Option<Safeguard>, tell: bool) -> Shared {
    let mut dice = Dice::of(seed);
    let jumps = dice.per_mille(250);
    let resends = dice.per_mille(250);
    let account_id = AccountId(Uuid::from_u128(7));
    let line = Line {
        id: LineId(Uuid::from_u128(9)),
        workspace_id: WORKSPACE,
        account_id,
        webhook_id: "main".to_owned(),
        address: number(LINE),
        region: Region::US,
        active: true,
        acknowledgements: Acknowledgements {
            on_open: Template::parse(DEFAULT_ON_OPEN).unwrap(),
            on_reopen: Template::parse(DEFAULT_ON_REOPEN).unwrap(),
            on_update: None,
        },
        guard: Guard::default(),
        when_uncertain: if resends { WhenUncertain::Resend } else { WhenUncertain::Hold },
    };
    // A rotation is under way: both tokens are good.
    let token = |nonce| master_key().seal(TOKEN, &account_id.to_string(), [nonce; NONCE_LEN]);
    let account = AccountEntry {
        id: account_id,
        sid: ACCOUNT.to_owned(),
        tokens: vec![token(1), token(2)],
        shared_keys: Vec::new(),
    };
    let tables = Tables::new(Rules::new([line]), account, without);
    let clock = clock(&mut dice, jumps, resends);
    Shared::new(World::new(dice, tables, clock, without, tell))
}

/// A clock that jumps does so by an hour at most, but where texts are sent again by themselves. What five minutes leave
/// unsettled is sent again there, and a clock that makes less than three of them leaves a text no time to be taken late.
/// Such a clock may be wrong by as much as the rules allow for instead.
fn clock(dice: &mut Dice, jumps: bool, resends: bool) -> Clock {
    let off = i64::try_from(dice.below(1_201)).unwrap() - 600;
    match (jumps, resends) {
        (false, false) => Clock { off: 0, jumps: 0 },
        (true, false) => Clock { off: 0, jumps: 3_600 },
        (false, true) => Clock { off, jumps: 0 },
        (true, true) => Clock { off, jumps: 60 },
    }
}

fn master_key() -> MasterKey {
    MasterKey::new(&[7; 32])
}

/// Everything that comes from outside, while things go wrong.
async fn act(world: &Shared) -> Told {
    let mut dice = Dice::of(world.lock().dice.throw());
    for _ in 0..dice.between(1, 2) {
        tokio::spawn(keep_alive(world.clone(), Dice::of(dice.throw())));
    }
    let mut told = Told::default();
    let jumps = world.lock().clock.jumps > 0;
    let people = dice.between(1, 4);
    let acts = dice.between(6, 20);
    for act in 0..acts {
        sleep(Duration::from_millis(dice.below(2 * STORM / acts))).await;
        let who = person(usize::try_from(dice.below(people)).unwrap());
        let now = world.lock().now();
        match dice.below(10) {
            0..=4 => {
                let sid = words::inbound_sid(act);
                world.lock().publish(words::text(&sid, &who, &format!("this is text {act}"), now));
                told.texts.insert(sid, who);
            }
            5 if told.texts.is_empty() => {}
            5 => {
                // A webhook that was repeated, maybe long after the stream has forgotten its id.
                let (sid, who) = told
                    .texts
                    .iter()
                    .nth(usize::try_from(dice.below(told.texts.len() as u64)).unwrap())
                    .unwrap();
                let mut event = words::text(sid, who, "once more", now);
                if dice.per_mille(300) {
                    event.dedupe_id = DedupeId::of_content(&[sid.as_bytes(), &act.to_le_bytes()]);
                }
                let forgotten = dice.per_mille(500);
                world.lock().shard.publish(event, forgotten);
            }
            6 => {
                let sid = words::inbound_sid(act);
                told.garbled.insert(world.lock().publish(words::garbled(&sid, now)));
            }
            7..=8 => told.replies += usize::from(reply(world, &mut dice, act)),
            _ => told.closings += usize::from(close(world, &mut dice)),
        }
        if jumps && dice.per_mille(150) {
            world.lock().jump();
        }
    }
    told
}

fn some_case(world: &World, dice: &mut Dice) -> Option<casewire_domain::CaseNumber> {
    let cases = &world.tables.cases;
    if cases.is_empty() {
        return None;
    }
    let place = usize::try_from(dice.below(cases.len() as u64)).unwrap();
    cases.values().nth(place).map(|case| case.number)
}

/// An agent replies, sometimes in the same words.
fn reply(world: &Shared, dice: &mut Dice, act: u64) -> bool {
    let mut world = world.lock();
    let Some(case) = some_case(&world, dice) else { return false };
    let body = if dice.per_mille(300) { "on our way".to_owned() } else { format!("reply {act}") };
    let reply = Reply {
        case,
        body: Text::new(body),
        author: "agent:anna".to_owned(),
        idempotency_key: None,
        trace: None,
    };
    let at = world.database_now();
    world.tables.handle(&[Command::Reply(reply)], at);
    world.note("replied", act);
    true
}

fn close(world: &Shared, dice: &mut Dice) -> bool {
    let mut world = world.lock();
    let Some(case) = some_case(&world, dice) else { return false };
    let status = CaseStatus::Closed;
    let close = Command::SetStatus { case, status, actor: "agent:anna".to_owned() };
    let at = world.database_now();
    world.tables.handle(&[close], at);
    world.note("closed", case.value().into());
    true
}

/// Runs a worker, and another when it died; now and then one is asked to end.
async fn keep_alive(world: Shared, mut dice: Dice) {
    loop {
        let (process, shutdown) = (Process::new(&world), Shutdown::new());
        start(&process, &shutdown);
        let asked = dice.per_mille(300).then(|| Duration::from_millis(dice.below(STORM)));
        let end = async {
            sleep(asked.unwrap_or(REST * 2)).await;
            shutdown.request();
            // As long as a supervisor waits.
            sleep(Duration::from_secs(30)).await;
        };
        tokio::select! {
            biased;
            () = process.died() => {}
            () = end => process.kill(),
        }
        sleep(Duration::from_millis(dice.below(5_000))).await;
    }
}

fn start(process: &Process, shutdown: &Shutdown) {
    let deps = Deps {
        database: Arc::new(SimDatabase(process.clone())),
        stream: Arc::new(SimStream(process.clone())),
        board: Arc::new(LocalDirectory::default()),
        master_key: master_key(),
        provider: Arc::new(SimProvider(process.clone())),
        public_url: PUBLIC_URL.to_owned(),
        health: Health::new(),
        metrics: Metrics::default(),
    };
    let seconds = Duration::from_secs;
    // Looks that nothing depends on are rare, so that hours pass quickly.
    let worker = config::Worker {
        fetch_wait: seconds(120),
        chores_interval: seconds(20),
        directory_poll: seconds(3600),
        directory_republish: seconds(7200),
        ..Default::default()
    };
    let sender =
        config::Sender { poll_interval: seconds(30), settle_poll: seconds(15), ..Default::default() };
    casewire_worker::build(worker, sender, deps).start(shutdown);
}

/// Heals everything and waits until nothing moves.
async fn rest(world: &Shared) -> Result<(), String> {
    sleep(Duration::from_millis(STORM / 4)).await;
    world.lock().heal();
    let mut waited = Duration::ZERO;
    while waited < REST {
        let pause = Duration::from_secs(10).max(waited / 8);
        sleep(pause).await;
        waited += pause;
        if restless(&world.lock()).is_none() {
            return Ok(());
        }
    }
    restless(&world.lock()).map_or(Ok(()), |what| Err(format!("it never came to rest: {what}")))
}

fn restless(world: &World) -> Option<String> {
    if world.books.coming > 0 {
        return Some(format!("{} things are still to happen", world.books.coming));
    }
    if !world.shard.is_empty() {
        return Some(format!("{} events are on the stream", world.shard.len()));
    }
    if !world.tables.ripe_statuses().is_empty() {
        return Some("a status waits for a text that is there".to_owned());
    }
    let held = |row: &casewire_domain::outbox::Outgoing| {
        row.state == OutboxState::Uncertain && row.settling.held_at.is_some()
    };
    let moving = world.tables.outbox.values().find(|row| !held(row));
    moving.map(|row| format!("{row:?} is on its way at {}", world.database_now()))
}
