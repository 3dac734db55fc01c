//! `formula test NAME`: what happens when any step fails, or the machine dies anywhere.

use std::path::{Path, PathBuf};

use super::app::App;
use super::failure::{Failure, Outcome};
use super::load;
use crate::catalog::{self, SHIPPED_TESTS};
use crate::clock::{Clock as _, SystemClock};
use crate::diagnostic::{SourceFile, render};
use crate::rehearse::{self, Again, Boundary, CaseReport, Judgement, Options, Point, Report, Schedule, Subject, Way};

/// Rehearses a formula on a fake world: cut off at every boundary, resumed, and rolled back.
///
/// Needs no Docker, no network and no disk. What the world holds at the start, what `shell` steps do, what goes wrong and what must come of it
/// is said in tests/NAME.test.toml beside the formula, or in its `[test]` table. Answers 0 only if every schedule ends in the world of an
/// uninterrupted run, or in that of the start.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or path of the formula.
    pub name: String,
    /// This step fails; shows what happens then.
    #[arg(long, value_name = "STEP")]
    pub fail: Option<String>,
    /// Only the case of this name.
    #[arg(long, value_name = "NAME")]
    pub case: Option<String>,
    /// Only this schedule, such as `push:after-effect:rollback`; shows where the worlds differ.
    #[arg(long, value_name = "STEP:BOUNDARY:WAY")]
    pub schedule: Option<String>,
    /// The test file [default: tests/NAME.test.toml beside the formula].
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print the report as data.
    #[arg(long)]
    pub json: bool,
}

/// Rehearses.
pub fn test(app: &App, args: &Args) -> Outcome {
    let formula = load::source(app, &args.name)?;
    let test = test_file(app, args, &formula)?;
    let schedule = args.schedule.as_deref().map(str::parse::<Schedule>).transpose().map_err(Failure::usage)?;
    let options = Options { fail: args.fail.clone(), case: args.case.clone(), schedule };
    let subject = Subject { formula: &formula, test: test.as_ref(), kinds: formula_steps::all().collect() };
    let clock = SystemClock::default();
    let mut inlined = |name: &str| load::inlined(app, name, false);
    let report = rehearse::rehearse(&subject, &options, &mut inlined).map_err(|error| refused(app, args, &formula, error))?;
    if args.json {
        app.ui.line(&serde_json::to_string(&report).map_err(|error| Failure::new(1, error.to_string()))?);
    } else {
        for case in &report.cases {
            print(app, args, &report, case);
        }
        let took = clock.monotonic().as_secs_f64();
        let verdict = if report.sound { "all as it should be" } else { "not as it should be" };
        app.ui.status(&format!("{}: {} in {took:.2} s, {verdict}", report.formula, plural(report.schedules, "schedule")));
    }
    // A report that was asked for with a failing step is an answer, not a complaint about that step.
    Ok(if report.sound { 0 } else { 30 })
}

/// The test file that was named, or the one that lies beside the formula.
fn test_file(app: &App, args: &Args, formula: &SourceFile) -> Result<Option<SourceFile>, Failure> {
    let read = |path: &Path, shown: PathBuf| catalog::read_file(path, shown).map(Some).map_err(|error| Failure::new(10, error.to_string()));
    if let Some(path) = &args.file {
        return read(&app.workdir.join(path), path.clone());
    }
    let name = formula.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let file = format!("{name}.test.toml");
    if formula.path.starts_with("<shipped>") {
        let text = SHIPPED_TESTS.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text);
        return Ok(text.map(|text| SourceFile::new(Path::new("<shipped>/tests").join(&file), text)));
    }
    let folder = formula.path.parent().unwrap_or(Path::new(""));
    let places = [folder.join("tests").join(&file), folder.join("../tests").join(&file), PathBuf::from("tests").join(&file)];
    for place in places {
        let path = app.workdir.join(&place);
        if path.is_file() {
            return read(&path, place);
        }
    }
    Ok(None)
}

fn refused(app: &App, args: &Args, formula: &SourceFile, error: rehearse::Error) -> Failure {
    match error {
        rehearse::Error::Formula(problems) => {
            for problem in &problems {
                app.ui.err(&render(formula, problem, app.ui.color_err));
            }
            Failure::said(10)
        }
        rehearse::Error::Test(misfit) => {
            for problem in &misfit.problems {
                app.ui.err(&render(&misfit.source, problem, app.ui.color_err));
            }
            let Some(skeleton) = misfit.skeleton else { return Failure::said(10) };
            let name = formula.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let folder = formula.path.parent().unwrap_or(Path::new("")).join("tests");
            app.ui.err(&format!("\nA test file to begin with, {}:\n\n{skeleton}", folder.join(format!("{name}.test.toml")).display()));
            Failure::said(10)
        }
        rehearse::Error::Unknown(message) => Failure::usage(message),
        rehearse::Error::Broken { case, message } => {
            let of = if case.is_empty() { String::new() } else { format!(", case `{case}`") };
            Failure::new(1, format!("`{}`{of} cannot be rehearsed: {message}", args.name))
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The columns of the table.
const COLUMNS: [&str; 5] = ["before", "during", "after", "record", "undo"];

fn print(app: &App, args: &Args, report: &Report, case: &CaseReport) {
    let of = if case.name.is_empty() { String::new() } else { format!(", case `{}`", case.name) };
    app.ui.line(&format!("{}{of}: ends {} (exit code {})", report.formula, case.outcome, case.exit));
    if let Some(failure) = &case.failure {
        app.ui.line(&format!("  {}", failure.lines().next().unwrap_or_default()));
    }
    if args.schedule.is_none() {
        table(app, case);
    }
    if args.fail.is_some() {
        states(app, case);
    }
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for played in &case.schedules {
        let word = played.judgement.word();
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let counted: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    if !counted.is_empty() {
        app.ui.line(&format!("\n{}: {}", plural(case.schedules.len(), "schedule"), counted.join(", ")));
    }
    notes(app, case);
    print_leaves(app, case);
    if let Some(again) = &case.again {
        print_again(app, again);
    }
    for unmet in &case.unmet {
        app.ui.line(&format!("not as expected: {unmet}"));
    }
    if case.met > 0 && case.unmet.is_empty() {
        app.ui.line(&format!("{} met", plural(case.met, "expectation")));
    }
    if let Some(played) = case.first_diverging() {
        let named = if case.name.is_empty() { String::new() } else { format!(" --case '{}'", case.name) };
        let fail = args.fail.as_ref().map(|step| format!(" --fail {step}")).unwrap_or_default();
        app.ui.line(&format!("first: formula test {}{named}{fail} --schedule '{}'", args.name, played.schedule));
        differences(app, &played.judgement);
    } else if let (Some(played), Some(_)) = (case.schedules.first(), &args.schedule) {
        app.ui.line(&format!("{}: {}", played.schedule, played.judgement.word()));
    }
    app.ui.line("");
}

fn table(app: &App, case: &CaseReport) {
    let tried: Vec<_> = case.steps.iter().filter(|step| step.tried).collect();
    let mut rows: Vec<Vec<String>> = vec![std::iter::once("step").chain(COLUMNS).map(str::to_owned).collect()];
    for step in &tried {
        let cells = COLUMNS.iter().map(|column| cell(case, &step.id, column));
        rows.push(std::iter::once(step.id.clone()).chain(cells).collect());
    }
    app.ui.line("");
    for line in super::table::columns(&rows) {
        app.ui.line(&line);
    }
    let left: Vec<String> = case.steps.iter().filter(|step| !step.tried).map(|step| format!("{} ({})", step.id, step.state)).collect();
    if !left.is_empty() {
        app.ui.line(&format!("not tried: {}", left.join(", ")));
    }
}

/// What came of resuming and of rolling back there; the worst where there are several.
fn cell(case: &CaseReport, step: &str, column: &str) -> String {
    let fits = |boundary: &Boundary| {
        boundary.step == step
            && match column {
                "undo" => boundary.undo,
                "before" => !boundary.undo && boundary.point == Point::Before,
                "during" => !boundary.undo && matches!(boundary.point, Point::During(_)),
                "after" => !boundary.undo && boundary.point == Point::After,
                _ => !boundary.undo && boundary.point == Point::Recorded,
            }
    };
    let worst = |way: Way| {
        let all: Vec<&Judgement> = case.judged(fits, way).collect();
        let bad = all.iter().find(|one| !one.is_sound());
        let noted = all.iter().find(|one| !matches!(one, Judgement::Converges));
        (bad.or(noted).or(all.first()).map(|one| one.word()), all.len())
    };
    match (worst(Way::Resume), worst(Way::Rollback)) {
        ((Some(resume), _), (Some(rollback), count)) => {
            let many = if count > 1 { format!(" x{count}") } else { String::new() };
            if resume == rollback { format!("{resume}{many}") } else { format!("{resume}/{rollback}{many}") }
        }
        _ => "-".to_owned(),
    }
}

/// Where every step stands, for a run in which one fails.
fn states(app: &App, case: &CaseReport) {
    app.ui.line("");
    let rows: Vec<Vec<String>> = case
        .steps
        .iter()
        .map(|step| vec![step.id.clone(), step.state.clone(), if step.undone { "taken back".into() } else { String::new() }])
        .collect();
    for line in super::table::columns(&rows) {
        app.ui.line(line.trim_end());
    }
}

/// What a person has to know of schedules that are as they should be.
fn notes(app: &App, case: &CaseReport) {
    let mut asked: Vec<&str> = Vec::new();
    let mut past: Vec<&str> = Vec::new();
    for played in &case.schedules {
        match &played.judgement {
            Judgement::Asks { steps } => asked.extend(steps.iter().map(String::as_str)),
            Judgement::OneWay { steps, .. } => past.extend(steps.iter().map(String::as_str)),
            _ => {}
        }
    }
    for (names, note) in [
        (&mut asked, "asks: a person has to say whether these were done, since nothing can be asked after a crash:"),
        (&mut past, "one-way: there is no way back past"),
    ] {
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            app.ui.line(&format!("{note} {}", names.join(", ")));
        }
    }
}

fn print_leaves(app: &App, case: &CaseReport) {
    if !case.leaves.is_empty() {
        app.ui.line(&format!("left alone by a rollback: what {} did", case.leaves.join(", ")));
    }
}

fn print_again(app: &App, again: &Again) {
    if let Some(failure) = &again.failure {
        app.ui.line(&format!("again: a second run fails: {failure}"));
    }
    if let Some((step, why)) = &again.moved {
        app.ui.line(&format!("again: step `{step}` has to act again: {why}"));
    }
    for step in &again.acts {
        app.ui.line(&format!("again: step `{step}` acts again in a second run"));
    }
    if !again.is_sound() {
        for difference in again.differences.iter().take(8) {
            app.ui.line(&format!("  {}: {} became {}", difference.field, difference.expected, difference.found));
        }
    }
    let excused: Vec<&str> = again.always.iter().chain(&again.allowed).map(String::as_str).collect();
    if again.is_sound() {
        let but = if excused.is_empty() { String::new() } else { format!(", but for {}, which always act", excused.join(", ")) };
        app.ui.line(&format!("again: a second run changes nothing{but}"));
    }
}

fn differences(app: &App, judgement: &Judgement) {
    let found = match judgement {
        Judgement::Diverges { differences } => differences,
        Judgement::Ends { expected, found, message, differences } => {
            let why = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            app.ui.line(&format!("  the run ends {found}, expected {expected}{why}"));
            differences
        }
        Judgement::Unreached => {
            app.ui.line("  the run never came to that boundary: it does not run the same way twice");
            return;
        }
        _ => return,
    };
    for difference in found {
        app.ui.line(&format!("  {}\n    expected {}\n    found    {}", difference.field, difference.expected, difference.found));
    }
}
