//! The live table on a terminal; plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use tokio::task::JoinHandle;

use crate::report::Verdict;
use crate::stage::Stage;

/// How often the table is drawn again.
const REDRAW: Duration = Duration::from_millis(500);
/// What is told of a row beside its name, in characters: a line that wraps could not be drawn over.
const WIDTH: usize = 60;

/// Where rows tell how they go. Clones are the same board.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    stage: Weak<Stage>,
    /// Lines drawn last, to go back over.
    drawn: usize,
}

struct Line {
    number: u32,
    fault: &'static str,
    began: Option<Instant>,
    verdict: Option<Verdict>,
    told: String,
}

impl Board {
    pub(crate) fn of(rows: &[(u32, &'static str)]) -> Self {
        let line = |(number, fault): &(u32, &'static str)| Line {
            number: *number,
            fault,
            began: None,
            verdict: None,
            told: String::new(),
        };
        Self(Arc::new(Mutex::new(State { lines: rows.iter().map(line).collect(), ..State::default() })))
    }

    /// Shows the figures of this stage from now on.
    pub(crate) fn watch(&self, stage: &Arc<Stage>) {
        self.0.lock().unwrap().stage = Arc::downgrade(stage);
    }

    pub(crate) fn begin(&self, number: u32) {
        let mut state = self.0.lock().unwrap();
        for line in state.lines.iter_mut().filter(|line| line.number == number) {
            line.began = Some(Instant::now());
            if !std::io::stdout().is_terminal() {
                say(&format!("row {number}: {}", line.fault));
            }
        }
    }

    pub(crate) fn end(&self, number: u32, verdict: Verdict, told: &str) {
        let mut state = self.0.lock().unwrap();
        for line in state.lines.iter_mut().filter(|line| line.number == number) {
            (line.verdict, line.told) = (Some(verdict), told.to_owned());
        }
        if !std::io::stdout().is_terminal() {
            say(&format!("row {number}: {verdict}: {told}"));
        }
    }

    /// Draws until it is dropped; nothing where there is no terminal.
    pub(crate) fn draw(&self) -> Drawing {
        let board = self.clone();
        let drawing = std::io::stdout().is_terminal().then(|| {
            tokio::spawn(async move {
                loop {
                    board.redraw();
                    tokio::time::sleep(REDRAW).await;
                }
            })
        });
        Drawing { board: self.clone(), drawing }
    }

    fn redraw(&self) {
        let mut state = self.0.lock().unwrap();
        let table = state.table();
        // Up over what was drawn before, clearing as it goes.
        let up = if state.drawn > 0 { format!("\x1b[{}A\x1b[J", state.drawn) } else { String::new() };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{up}{table}").and_then(|()| out.flush());
        state.drawn = table.lines().count();
    }
}

impl State {
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["row", "fault", "verdict", "time", ""]);
        for line in &self.lines {
            let (verdict, told) = match (line.verdict, line.began) {
                (Some(verdict), _) => (verdict.to_string(), line.told.clone()),
                (None, Some(_)) => ("running".to_owned(), self.now()),
                (None, None) => (String::new(), String::new()),
            };
            let time = line.began.filter(|_| line.verdict.is_none()).map(|began| began.elapsed().as_secs());
            let time = time.map(|seconds| format!("{seconds} s")).unwrap_or_default();
            let told: String = told.chars().take(WIDTH).collect();
            table.add_row([line.number.to_string(), line.fault.to_owned(), verdict, time, told]);
        }
        table.to_string()
    }

    /// How the row that runs is going.
    fn now(&self) -> String {
        let Some(stage) = self.stage.upgrade() else { return "starting".to_owned() };
        let (texts, requests, _) = stage.books.sizes();
        format!("{texts} texts, {requests} requests, {} taken", stage.books.taken())
    }
}

/// A table that is kept up to date.
pub(crate) struct Drawing {
    board: Board,
    drawing: Option<JoinHandle<()>>,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        if let Some(drawing) = self.drawing.take() {
            drawing.abort();
            self.board.redraw();
        }
    }
}

/// Tells whoever reads the output.
#[expect(clippy::print_stdout, reason = "a program speaks")]
pub(crate) fn say(what: &str) {
    println!("{what}");
}
