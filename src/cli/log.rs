//! `formula log`: what was said and what was written down, again.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::app::App;
use super::drive;
use super::failure::{Failure, Outcome};
use super::runs::holder;
use super::ui::Ui;
use crate::backend::{Backend as _, log_path};
use crate::diagnostic::nearest;
use crate::journal::{Journal as _, SqliteJournal};
use crate::model::{Envelope, Event, Plan, RunId};
use crate::report::{Hub, Json, Plain, Style, Subscriber, clean_with_tabs, verdict_json};

/// How often a run that goes on is looked at.
const POLL: Duration = Duration::from_millis(150);

/// Replays a run's events, or prints what a step wrote.
///
/// Events are shown as they were when they happened. With a step it prints what that step's attempts, and its undo, wrote.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id [default: the newest of this directory].
    pub run: Option<String>,
    /// The step whose output to print.
    pub step: Option<String>,
    /// Stay until the run is over.
    #[arg(long, short)]
    pub follow: bool,
    /// Print one JSON envelope a line; with a step, those about it.
    #[arg(long)]
    pub json: bool,
    /// Begin with the event of this number.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub since: u64,
}

/// Prints.
pub fn log(app: &App, args: &Args) -> Outcome {
    let (journal, run, step) = chosen(app, args)?;
    let follow = Follow { app, journal: &journal, run: &run, wanted: args.follow };
    match step {
        Some(step) if !args.json => output(&follow, &step)?,
        step => events(&follow, step.as_deref(), args)?,
    }
    Ok(0)
}

/// The run and step that are meant. A single word that begins no run may be a step of the newest one.
fn chosen(app: &App, args: &Args) -> Result<(Arc<SqliteJournal>, RunId, Option<String>), Failure> {
    let plan = |journal: &Arc<SqliteJournal>, run: &RunId| app.backend(journal.clone(), Hub::new()).look(run).map(|(plan, _)| plan);
    match app.existing(args.run.as_deref()) {
        Ok((journal, run)) => {
            if let Some(step) = &args.step {
                known(plan(&journal, &run)?.as_ref(), step)?;
            }
            Ok((journal, run, args.step.clone()))
        }
        Err(failure) => {
            let (Some(word), None) = (&args.run, &args.step) else { return Err(failure) };
            let Ok((journal, run)) = app.existing(None) else { return Err(failure) };
            if plan(&journal, &run)?.find(word).is_none() {
                return Err(failure);
            }
            Ok((journal, run, Some(word.clone())))
        }
    }
}

fn known(plan: &Plan, step: &str) -> Result<(), Failure> {
    if plan.find(step).is_some() {
        return Ok(());
    }
    let failure = Failure::usage(format!("the run has no step `{step}`"));
    Err(match nearest(step, plan.steps.iter().map(|step| step.id.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`formula show` lists its steps"),
    })
}

/// A run that may still go on.
struct Follow<'a> {
    app: &'a App,
    journal: &'a Arc<SqliteJournal>,
    run: &'a RunId,
    wanted: bool,
}

impl Follow<'_> {
    /// Calls `look` until it says that it has seen enough, or nobody drives the run any more and everything was seen.
    fn each(&self, mut look: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
        loop {
            // Asked before looking: what a driver wrote before it let go is then seen.
            let over = !self.wanted || holder(self.app, self.journal, self.run)?.is_none();
            let enough = look()?;
            if over || enough {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Stdout that tells whether anybody still reads.
struct Reader {
    gone: Arc<AtomicBool>,
    ui: Ui,
}

impl Reader {
    fn noted<T>(&self, result: std::io::Result<T>) -> std::io::Result<T> {
        result.inspect_err(|error| {
            self.gone.store(true, Ordering::Relaxed);
            self.ui.wrote(Err(error.kind().into()));
        })
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.noted(std::io::stdout().lock().write(bytes))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.noted(std::io::stdout().lock().flush())
    }
}

fn events(follow: &Follow<'_>, step: Option<&str>, args: &Args) -> Result<(), Failure> {
    let gone = Arc::new(AtomicBool::new(false));
    let reader = Box::new(Reader { gone: gone.clone(), ui: follow.app.ui.clone() });
    let journal = follow.journal.clone();
    let plan = Box::new(move |digest: &str| journal.blob(digest).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()));
    let style = Style { color: follow.app.ui.color_out, verbose: 0, ci: follow.app.ui.ci };
    let mut sink: Box<dyn Subscriber> = if args.json { Box::new(Json::to(reader)) } else { Box::new(Plain::to(reader, style, plan)) };
    let mut next = args.since;
    follow.each(|| {
        let mut finished = false;
        for envelope in follow.journal.read(follow.run, next)? {
            next = envelope.seq + 1;
            finished = matches!(envelope.event, Event::RunFinished { .. });
            if step.is_none_or(|step| envelope.event.step() == Some(step)) {
                sink.event(&envelope);
            }
            if gone.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(finished || gone.load(Ordering::Relaxed))
    })?;
    // Of an incomplete record nobody takes the last line for how the run stands.
    if args.json && step.is_none() && holder(follow.app, follow.journal, follow.run)?.is_none() {
        let (_, state) = follow.app.backend(follow.journal.clone(), Hub::new()).look(follow.run)?;
        let mut verdict = state.verdict(follow.run);
        drive::to_type(follow.app, &mut verdict, true);
        follow.app.ui.line(&verdict_json(follow.run, &verdict));
    }
    Ok(())
}

/// What the attempts of a step wrote.
fn output(follow: &Follow<'_>, step: &str) -> Result<(), Failure> {
    let folder = follow.app.state_dir.join("runs").join(follow.run.as_str());
    let mut printed = Printed {
        raw: !std::io::stdout().is_terminal() && follow.app.ui.ci.is_none(),
        rest: Vec::new(),
        at: HashMap::new(),
        gone: false,
        ui: follow.app.ui.clone(),
    };
    follow.each(|| {
        let entries = follow.journal.read(follow.run, 0)?;
        let about = || entries.iter().filter(|envelope| envelope.event.step() == Some(step));
        let attempts = about().filter_map(attempt).max().unwrap_or(0);
        let undo = about().any(|envelope| matches!(envelope.event, Event::UndoStarted { .. }));
        // What an undo writes counts as attempt 0.
        for attempt in (1..=attempts).chain(undo.then_some(0)) {
            if (attempts > 1 || undo) && !printed.at.contains_key(&attempt) {
                let what = if attempt == 0 { "undo".to_owned() } else { format!("attempt {attempt}") };
                follow.app.ui.status(&format!("── {what} ──"));
            }
            printed.more(attempt, &log_path(&folder, step, attempt))?;
        }
        let over = about()
            .next_back()
            .is_some_and(|envelope| matches!(envelope.event, Event::AttemptSucceeded { .. } | Event::StepSkipped { .. }));
        Ok(over || printed.gone)
    })?;
    printed.end();
    if printed.at.values().all(|at| *at == 0) {
        follow.app.ui.status(&format!("step `{step}` printed nothing"));
    }
    Ok(())
}

fn attempt(envelope: &Envelope) -> Option<u32> {
    match envelope.event {
        Event::AttemptStarted { attempt, .. } => Some(attempt),
        _ => None,
    }
}

/// What is printed of the log files.
struct Printed {
    /// As it is; else what a terminal or a CI system would obey is taken out.
    raw: bool,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// Bytes of each attempt.
    at: HashMap<u32, u64>,
    /// Nobody reads any more.
    gone: bool,
    ui: Ui,
}

impl Printed {
    fn more(&mut self, attempt: u32, path: &Path) -> Result<(), Failure> {
        let at = self.at.entry(attempt).or_default();
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::new(74, format!("`{}`: {error}", path.display()))),
        };
        let mut buffer = vec![0; 256 * 1024];
        let read = |error| Failure::new(74, format!("`{}`: {error}", path.display()));
        file.seek(SeekFrom::Start(*at)).map_err(read)?;
        loop {
            let count = file.read(&mut buffer).map_err(read)?;
            if count == 0 || self.gone {
                return Ok(());
            }
            *self.at.entry(attempt).or_default() += count as u64;
            self.print(&buffer[..count]);
        }
    }

    fn print(&mut self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        if self.raw {
            self.wrote(stdout.write_all(bytes).and_then(|()| stdout.flush()));
            return;
        }
        let text = self.ui.neutral(&whole_lines(&mut self.rest, bytes));
        self.wrote(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
    }

    fn wrote(&mut self, result: std::io::Result<()>) {
        self.gone = result.is_err();
        self.ui.wrote(result);
    }

    fn end(&mut self) {
        if !self.rest.is_empty() {
            let line = self.ui.neutral(&(clean_with_tabs(&String::from_utf8_lossy(&std::mem::take(&mut self.rest))) + "\n"));
            self.ui.wrote(std::io::stdout().lock().write_all(line.as_bytes()));
        }
    }
}

/// The lines that are whole now, clean; what is left waits in `rest`. An escape sequence does not reach over the end of its line.
fn whole_lines(rest: &mut Vec<u8>, bytes: &[u8]) -> String {
    rest.extend_from_slice(bytes);
    let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { return String::new() };
    let text = String::from_utf8_lossy(&rest[..=end]).lines().map(|line| clean_with_tabs(line) + "\n").collect();
    rest.drain(..=end);
    text
}

#[cfg(test)]
mod tests {
    use super::whole_lines;

    #[test]
    fn a_log_cannot_command_a_terminal_however_it_is_cut() {
        let log = "one \u{1b}[31mred\u{1b}[0m\r\n\u{1b}]0;title\u{7}ümläut\nrest".as_bytes();
        for cut in 0..log.len() {
            let mut rest = Vec::new();
            let text = whole_lines(&mut rest, &log[..cut]) + &whole_lines(&mut rest, &log[cut..]);
            assert_eq!((text.as_str(), rest.as_slice()), ("one red\nümläut\n", &b"rest"[..]), "cut at {cut}");
        }
    }
}
