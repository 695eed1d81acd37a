//! A backlog of texts to cases, against one transaction a text and against one statement a batch.

use anyhow::{Result, ensure};

use crate::finding::{Finding, Goal};
use crate::load::Senders;
use crate::plan::Plan;
use crate::stage::backlog::{self, Worked};
use crate::stage::books::{Books, Database};
use crate::stage::broker::{Broker, Sync};
use crate::stage::line;
use crate::stage::programs::here;
use crate::stage::twilio::Twilio;

/// Texts of one statement: casewire's own most of one transaction.
const BATCH: u64 = 256;
/// A way to do the same by SQL alone.
struct Way {
    /// What is there beforehand, and what each client does over and over.
    before: &'static [&'static str],
    script: &'static str,
    /// Some that compute while others wait for the disk.
    clients: u64,
    /// Texts of each transaction.
    batch: u64,
}
const USUAL: Way =
    Way { before: &["prepare.sql", "people.sql"], script: "one-by-one.sql", clients: 32, batch: 1 };
const SET_BASED: Way = Way { before: &["prepare.sql"], script: "set-based.sql", clients: 4, batch: BATCH };
/// So few texts a second are sent that sending costs nothing.
const SENT_A_SECOND: u32 = 1;

/// What a backlog is worked off on.
pub(super) struct Stage {
    pub(super) broker: Broker,
    pub(super) books: Books,
    _twilio: Twilio,
}

impl Stage {
    pub(super) async fn start(plan: &Plan) -> Result<Self> {
        let (broker, twilio) = (Broker::start(Sync::Default).await?, Twilio::start()?);
        let books = Books::start(&plan.programs, &broker, &twilio.url, SENT_A_SECOND).await?;
        Ok(Self { broker, books, _twilio: twilio })
    }

    /// A backlog of its own, worked off into a database of its own.
    pub(super) async fn work(&self, plan: &Plan, size: Size, workers: usize) -> Result<Worked> {
        self.fill(size, 0).await?;
        let database = self.books.copy("casewire").await?;
        let worked = backlog::work_off(&plan.programs, &self.broker, &self.books, &database, workers).await?;
        self.books.remove(database).await?;
        Ok(worked)
    }

    /// A backlog worked off into a database that stays; of people from `first` on. It forgets the streams of the backlog
    /// before: a worker would take them for lost, and look for what they held on the provider's list.
    pub(super) async fn work_into(
        &self,
        plan: &Plan,
        size: Size,
        first: u64,
        database: &Database,
    ) -> Result<Worked> {
        self.fill(size, first).await?;
        self.books.sql(database, "delete from stream_mark").await?;
        backlog::work_off(&plan.programs, &self.broker, &self.books, database, 1).await
    }

    async fn fill(&self, size: Size, first: u64) -> Result<()> {
        let mut texts = line::texts(Senders { first, count: size.senders });
        backlog::fill(&self.broker, &mut texts, size.texts).await
    }
}

/// How large a backlog is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) texts: u64,
    pub(super) senders: u64,
}

impl Size {
    pub(super) fn of(plan: &Plan) -> Self {
        plan.size(Self { texts: 200_000, senders: 20_000 }, Self { texts: 10_000, senders: 1_000 })
    }
}

pub(crate) async fn against_pgbench(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("worker", plan.more_rounds() * 2 + 1);
    plan.progress.step("starting");
    let (stage, size) = (Stage::start(plan).await?, Size::of(plan));
    let rounds = plan
        .turns(
            plan.more_rounds(),
            ["casewire", "pgbench"],
            async || stage.work(plan, size, 1).await,
            async || {
                // First what is over as soon, so that both fall into the same moment of the machine.
                let set = pgbench(&stage.books, size, &SET_BASED).await?;
                let usual = pgbench(&stage.books, size, &USUAL).await?;
                Ok((usual, set))
            },
        )
        .await?;
    let usual = rounds.iter().map(|(ours, (usual, _))| (ours.rate, *usual));
    let set = rounds.iter().map(|(ours, (_, set))| (ours.rate, *set));
    let cpu = rounds.iter().map(|(ours, _)| ours.cpu);
    let each = "a transaction a text";
    Ok(vec![
        Finding::compared("worker and pgbench: texts to cases", "/s", each, usual, Goal::RatioAtLeast(3.0)),
        Finding::compared(
            "worker and set-based SQL: texts to cases",
            "/s",
            "set-based SQL",
            set,
            Goal::RatioAtLeast(0.5),
        ),
        Finding::alone("worker: processor time of 10,000 texts", "s", cpu, Goal::None),
    ])
}

/// Texts a second that a script of pgbench makes cases of, in a database of its own.
async fn pgbench(books: &Books, size: Size, way: &Way) -> Result<f64> {
    let Way { clients, batch, .. } = *way;
    let database = books.copy("baseline").await?;
    let read = |name: &str| std::fs::read_to_string(here().join("sql").join(name));
    for name in way.before {
        books.sql(&database, &read(name)?.replace("{senders}", &size.senders.to_string())).await?;
    }
    let script = read(way.script)?;
    let each = size.texts.div_ceil(batch * clients);
    let mut arguments =
        vec!["--no-vacuum".to_owned(), "--protocol=prepared".to_owned(), "--jobs=2".to_owned()];
    arguments.push(format!("--client={clients}"));
    arguments.push(format!("--transactions={each}"));
    arguments.push(format!("--define=clients={clients}"));
    for (name, value) in variables(books, &database, size, batch).await? {
        arguments.push(format!("--define={name}={value}"));
    }
    let rate = books.pgbench(&database, &script, &arguments).await? * batch as f64;
    let stored = books.count(&database, "select count(*) from message where direction = 'inbound'").await?;
    let wanted = each * clients * batch;
    ensure!(stored == wanted, "pgbench was to store {wanted} texts, and stored {stored}");
    books.remove(database).await?;
    Ok(rate)
}

async fn variables(
    books: &Books,
    database: &Database,
    size: Size,
    batch: u64,
) -> Result<Vec<(&'static str, String)>> {
    let ids = books.sql(database, "select line.id, line.account_id, line.workspace_id from line").await?;
    let mut ids = ids.trim().split('|').map(str::to_owned);
    let mut next = || ids.next().unwrap_or_default();
    Ok(vec![
        ("line", next()),
        ("account", next()),
        ("workspace", next()),
        ("senders", size.senders.to_string()),
        ("batch", batch.to_string()),
        // pgbench would take the colons of an id for variables of its own.
        ("prefix", format!("i:{}:", line::ACCOUNT)),
        // As long as the event that casewire keeps of a webhook.
        ("raw", "x".repeat(659)),
    ])
}

/// Two and four workers on one backlog, each beside one: in more rounds, as what is to be told is less than what a shared
/// machine does from one minute to the next.
pub(crate) async fn several(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("workers", plan.more_rounds() * 2 + 1);
    plan.progress.step("starting");
    let (stage, size) = (Stage::start(plan).await?, Size::of(plan));
    let rounds = plan
        .turns(
            plan.more_rounds(),
            ["two workers and one", "four workers"],
            async || Ok((stage.work(plan, size, 2).await?, stage.work(plan, size, 1).await?)),
            async || stage.work(plan, size, 4).await,
        )
        .await?;
    let two: Vec<_> = rounds.iter().map(|((two, one), _)| (two, one)).collect();
    let four: Vec<_> = rounds.iter().map(|((_, one), four)| (four, one)).collect();
    Ok([beside_one("two workers", &two), beside_one("four workers", &four)].concat())
}

fn beside_one(several: &str, rounds: &[(&Worked, &Worked)]) -> Vec<Finding> {
    let of = |what: &str, unit, figure: fn(&Worked) -> f64, goal| {
        let rounds = rounds.iter().map(|(several, one)| (figure(several), figure(one)));
        Finding::compared(&format!("{several}: {what}"), unit, "one worker", rounds, goal)
    };
    // No slower, as far as rounds can tell: they differ by as much among themselves.
    let (no_slower, flat) = (Goal::RatioAtLeast(0.95), Goal::RatioAtMost(1.15));
    vec![
        of("texts to cases", "/s", |worked| worked.rate, no_slower),
        of("processor time of 10,000 texts", "s", |worked| worked.cpu, flat),
        of("processor time of 10,000 texts, whole machine", "s", |worked| worked.machine, flat),
    ]
}
