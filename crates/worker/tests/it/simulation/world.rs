//! Everything a process of the simulation meets: tables, stream, provider, clocks, chance and what goes wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casewire_domain::DedupeId;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::provider::Books;
use super::stream::Shard;
use super::tables::Tables;

/// What keeps texts from being lost or doubled. Each can be taken away, to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safeguard {
    /// An event and a text are known once they had their effect.
    Once,
    /// A provider's id belongs to one text: two webhooks of one text can have ids of their own.
    SidsOnce,
    /// The attempt is committed before the request.
    CommitBeforePost,
    /// A text the provider may have is held.
    Holding,
    /// An event is acknowledged after the commit.
    AckAfterCommit,
    /// The furthest status holds.
    Furthest,
}

/// How bad a seed is: of a thousand calls, how many go wrong in which way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// The process dies at this point.
    pub(crate) deaths: u64,
    /// Most of them.
    pub(crate) deaths_most: u32,
    /// The database says no, or its yes is lost after the commit.
    pub(crate) database: u64,
    /// What is told the stream is lost, or what it says.
    pub(crate) stream: u64,
    /// The provider does not simply take a text.
    pub(crate) provider: u64,
    /// A callback never comes.
    pub(crate) callbacks_lost: u64,
    /// A callback or a webhook comes twice.
    pub(crate) doubled: u64,
    /// A call takes long.
    pub(crate) slow: u64,
}

impl Weather {
    const CALM: Self = Self {
        deaths: 0,
        deaths_most: 0,
        database: 0,
        stream: 0,
        provider: 0,
        callbacks_lost: 0,
        doubled: 0,
        slow: 0,
    };

    /// Mostly of some kinds, now and then of all.
    fn of(dice: &mut Dice) -> Self {
        let mut often = |most: u64| if dice.per_mille(600) { dice.below(most) } else { 0 };
        Self {
            deaths: often(120),
            deaths_most: 4,
            database: often(250),
            stream: often(250),
            provider: often(900),
            callbacks_lost: often(700),
            doubled: often(400),
            slow: often(150),
        }
    }
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    /// Whether nothing goes wrong any more.
    calm: bool,
    pub(crate) without: Option<Safeguard>,
    pub(crate) tables: Tables,
    pub(crate) shard: Shard,
    pub(crate) books: Books,
    /// How many times a process died.
    pub(crate) deaths: u32,
    /// The database's clock.
    pub(crate) clock: Clock,
    /// How far it is off.
    skew: TimeDelta,
    start: Instant,
    /// Everything that happened, as one number: two runs of a seed must agree.
    pub(crate) fingerprint: u64,
    /// Whether to say what happens.
    tell: bool,
}

/// What came of asking something that is not quite reliable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Nothing was done.
    Refused,
    /// It was done, and the answer was lost.
    Torn,
}

/// How wrong the database's clock is, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// How far it is off, before it jumps.
    pub(crate) off: i64,
    /// How far it jumps from there, at most, in either direction; 0 where it does not.
    pub(crate) jumps: u64,
}

impl World {
    pub(crate) fn new(
        mut dice: Dice,
        tables: Tables,
        clock: Clock,
        without: Option<Safeguard>,
        tell: bool,
    ) -> Self {
        let weather = Weather::of(&mut dice);
        Self {
            weather,
            calm: false,
            dice,
            without,
            tables,
            shard: Shard::default(),
            books: Books::default(),
            deaths: 0,
            clock,
            skew: TimeDelta::seconds(clock.off),
            start: Instant::now(),
            fingerprint: 0,
            tell,
        }
    }

    pub(crate) fn lacks(&self, safeguard: Safeguard) -> bool {
        self.without == Some(safeguard)
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn heal(&mut self) {
        (self.weather, self.calm) = (Weather::CALM, true);
    }

    /// The true time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(self.start.elapsed()).unwrap();
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + passed
    }

    /// The time on the database's clock.
    pub(crate) fn database_now(&self) -> DateTime<Utc> {
        self.now() + self.skew
    }

    /// The database's clock jumps.
    pub(crate) fn jump(&mut self) {
        let Clock { off, jumps } = self.clock;
        let seconds = off + i64::try_from(self.dice.below(2 * jumps + 1)).unwrap() - jumps.cast_signed();
        self.note("the clock jumps", seconds.unsigned_abs());
        self.skew = TimeDelta::seconds(seconds);
    }

    pub(crate) fn note(&mut self, what: &str, detail: u64) {
        let at = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        if self.tell {
            eprintln!("{at:>9} ms  {what} {detail}");
        }
        for byte in what.bytes().chain(at.to_le_bytes()).chain(detail.to_le_bytes()) {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// What comes of a call, of a thousand of which so many go wrong.
    pub(crate) fn fate(&mut self, wrong: u64) -> Fate {
        match self.dice.per_mille(wrong) {
            false => Fate::Done,
            true if self.dice.per_mille(500) => Fate::Refused,
            true => Fate::Torn,
        }
    }

    /// How long a call takes; `None` when the process dies of it.
    fn step(&mut self, what: &str) -> Option<Duration> {
        if self.deaths < self.weather.deaths_most && self.dice.per_mille(self.weather.deaths) {
            self.deaths += 1;
            self.note("a process dies", what.len() as u64);
            return None;
        }
        if self.dice.per_mille(self.weather.slow) {
            // Longer than the stream waits, sometimes, or than a lease.
            return Some(Duration::from_millis(self.dice.between(100, 70_000)));
        }
        // Few calls take time, so that a seed does not: the others change places with each other even so.
        let waits = !self.calm && self.dice.per_mille(250);
        Some(Duration::from_millis(if waits { self.dice.between(1, 30) } else { 0 }))
    }

    /// Puts an event on the stream, perhaps twice, and says under which id.
    pub(crate) fn publish(&mut self, event: casewire_domain::Event) -> DedupeId {
        let id = event.dedupe_id.clone();
        let twice = self.dice.per_mille(self.weather.doubled);
        let forgotten = twice && self.dice.per_mille(500);
        self.shard.publish(event.clone(), false);
        if twice {
            self.shard.publish(event, forgotten);
        }
        self.note("published", self.shard.len());
        id
    }
}

/// A world that processes share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process, from its start to its death. Whatever a dead one asks for never comes, and nothing it does counts.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) world: Shared,
    dead: Arc<AtomicBool>,
    died: Arc<Notify>,
}

impl Process {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), dead: Arc::default(), died: Arc::default() }
    }

    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// Kills it from outside.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// Where every call passes, before and after its effect: time passes, and the process may die.
    pub(crate) async fn passes(&self, what: &str) {
        self.lives().await;
        let pause = self.world.lock().step(what);
        match pause {
            Some(Duration::ZERO) => {}
            Some(pause) => sleep(pause).await,
            None => {
                self.kill();
                self.died.notify_one();
            }
        }
        // It may have died meanwhile, here or elsewhere.
        self.lives().await;
    }

    async fn lives(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// Asks for something that happens in one step, if it happens.
    pub(crate) async fn asks<T>(
        &self,
        what: &'static str,
        wrong: impl Fn(&Weather) -> u64,
        effect: impl FnOnce(&mut World) -> T,
    ) -> Option<T> {
        self.passes(what).await;
        let (fate, done) = {
            let mut world = self.world.lock();
            let wrong = wrong(&world.weather);
            let fate = world.fate(wrong);
            world.note(what, fate as u64);
            (fate, (fate != Fate::Refused).then(|| effect(&mut world)))
        };
        self.passes(what).await;
        done.filter(|_| fate == Fate::Done)
    }
}

/// How often each thing happened, by name.
pub(crate) type Tally = BTreeMap<&'static str, u64>;
