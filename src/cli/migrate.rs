//! `formula migrate status|baseline|repair`: the ledger of migrations, looked at and put right by a person.

use formula_steps::contract::{Class, StepError};
use formula_steps::migrations::{self, Applied, Entry, Phase, Place, Row, Source, State, Status, Version, Who};
use formula_steps::world::World;
use serde_json::{Value, json};

use super::app::App;
use super::failure::{Failure, Outcome};
use super::table::columns;
use crate::backend::local;
use crate::journal::{Lock, LockError};
use crate::report::clean;

/// Exit code for a ledger that does not fit.
const NOT_AS_IT_SHOULD_BE: u8 = 30;
/// Exit code for what is refused before anything is changed.
const REFUSED: u8 = 11;
/// Exit code while a run is under way.
const LOCKED: u8 = 12;

/// Shows the ledger of migrations, and puts it right.
///
/// Migrations themselves are run by steps of the kind `migrate`; `formula steps migrate` tells how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Sub,
}

/// What can be done with the ledger.
#[derive(Debug, clap::Subcommand)]
pub enum Sub {
    Status(StatusArgs),
    Baseline(BaselineArgs),
    Repair(RepairArgs),
}

/// Shows every migration of the folder and of the ledger, and how it stands.
///
/// Exits 30 where folder, ledger and key do not fit, with what settles each.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// Records that the box stands at a version.
///
/// Everything up to it counts as applied, everything above it is pending. For a box that has no ledger yet and is on no release tag.
#[derive(Debug, clap::Args)]
pub struct BaselineArgs {
    /// The version, such as `v0.3.0`.
    pub version: String,
    /// Do so though the ledger knows migrations above it as applied: they will run again.
    #[arg(long)]
    pub force: bool,
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// Settles a migration that was changed after it was applied, was cut off, or was left out.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("as").args(["applied", "pending"]).required(true))]
pub struct RepairArgs {
    /// Its version, such as `v0.3.0`.
    pub version: String,
    /// `pre` or `post` only [default: both, where it has both].
    #[arg(long, value_name = "PHASE", value_parser = ["pre", "post"])]
    pub phase: Option<String>,
    /// It counts as applied, with the content that it has now.
    #[arg(long)]
    pub applied: bool,
    /// It is to be run by the next step that comes by it.
    #[arg(long)]
    pub pending: bool,
    /// Why; kept in the ledger.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// Where migrations and ledger are.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// The folder of migrations.
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    pub dir: String,
    /// The ledger, where it is not in the state directory.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<String>,
    /// The env file that holds the key.
    #[arg(long, value_name = "FILE", default_value = ".env")]
    pub env_file: String,
    /// The key that holds the last migration, to be looked at too.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// Does what is asked.
pub fn migrate(app: &App, args: &Args) -> Outcome {
    match &args.command {
        Sub::Status(args) => status(app, args),
        Sub::Baseline(args) => baseline(app, args),
        Sub::Repair(args) => repair(app, args),
    }
}

/// Ledger and folder as they are, and the doors to them.
struct Desk {
    world: World,
    place: Place,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn new(app: &App, args: &PlaceArgs) -> Result<Self, Failure> {
        let place = Place {
            dir: args.dir.trim_start_matches("./").trim_end_matches('/').to_owned(),
            ledger: args.ledger.clone(),
            key: args.key.clone().map(|key| (args.env_file.clone(), key)),
            ..Place::new(&app.workdir, &app.state_dir)
        };
        if let Some(problem) = place.problems().into_iter().next() {
            return Err(Failure::usage(problem));
        }
        Ok(Self { world: app.world(&app.holder().mark()), place, runtime: app.runtime()? })
    }

    fn look(&self) -> Result<Status, Failure> {
        self.runtime.block_on(migrations::status(&self.world, &self.place)).map_err(|error| failure(&error))
    }

    /// Keeps runs of this directory from starting while a person decides; the ledger is theirs while one is under way.
    fn alone(app: &App) -> Result<Lock, Failure> {
        local::prepare_state_dir(&app.state_dir)?;
        Lock::acquire(&app.state_dir.join("workdir.lock"), &app.holder()).map_err(|error| match error {
            LockError::Held { .. } => Failure::new(LOCKED, "a run of this directory is under way")
                .hint("`formula show` tells which; wait for its end, then give the same command again"),
            LockError::Io { .. } => Failure::new(1, error.to_string()),
        })
    }

    fn append(&self, app: &App, rows: &[Row]) -> Result<(), Failure> {
        let who = Who::person(&app.user());
        self.runtime.block_on(migrations::append(&self.world, &self.place, &who, rows)).map_err(|error| failure(&error))
    }
}

fn failure(error: &StepError) -> Failure {
    let failure = Failure::new(if error.class == Class::Refused { REFUSED } else { 1 }, &error.message);
    error.hint.iter().flat_map(|hint| hint.lines()).fold(failure, Failure::hint)
}

fn version(text: &str) -> Result<Version, Failure> {
    Version::parse(text).ok_or_else(|| Failure::usage(format!("`{text}` is not a version")).hint("write it like `v0.3.0`"))
}

fn status(app: &App, args: &StatusArgs) -> Outcome {
    let status = Desk::new(app, &args.place)?.look()?;
    if args.json {
        app.ui.line(&data(&status).to_string());
    } else {
        table(app, &status);
    }
    Ok(if status.problems.is_empty() { 0 } else { NOT_AS_IT_SHOULD_BE })
}

fn data(status: &Status) -> Value {
    let mut data = json!(status);
    data["v"] = 1.into();
    data["pending"] = pending(status).into();
    data
}

fn pending(status: &Status) -> usize {
    status.entries.iter().filter(|entry| !entry.state.is_done()).count()
}

fn table(app: &App, status: &Status) {
    let heads = ["VERSION", "PHASE", "STATE", "BACK", "ENDED", "DIGEST", "WHAT"].map(str::to_owned);
    let rows = status.entries.iter().map(|entry| {
        let digest = entry.applied_digest.as_ref().or(entry.digest.as_ref()).map_or("", |digest| &digest[..digest.len().min(12)]);
        let what = match (&entry.summary, &entry.script) {
            (Some(summary), _) => clean(summary),
            (None, Some(script)) => clean(script),
            (None, None) => "not in the folder".to_owned(),
        };
        vec![entry.version.to_string(), entry.phase.as_str().into(), state(entry), back(entry).into(), ended(entry), digest.into(), what]
    });
    let rows: Vec<Vec<String>> = std::iter::once(heads.to_vec()).chain(rows).collect();
    if rows.len() > 1 {
        for line in columns(&rows) {
            app.ui.told(&format!("{line}\n"));
        }
    }
    app.ui.status(&standing(status));
    for problem in &status.problems {
        app.ui.err(&format!("{} {}", app.ui.paint("problem:", "1;31"), clean(&problem.what)));
        app.ui.err(&format!("  {} {}", app.ui.paint("hint:", "36"), clean(&problem.now)));
    }
}

fn state(entry: &Entry) -> String {
    match (entry.state, &entry.exit) {
        (State::Failed, Some(exit)) => format!("failed ({exit})"),
        (state, _) => state.as_str().to_owned(),
    }
}

fn back(entry: &Entry) -> &str {
    match entry.back {
        migrations::Back::Down => entry.down.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or("down.sh"),
        migrations::Back::Neutral => "stays",
        migrations::Back::OneWay => "one-way",
    }
}

/// The time of the end, or of the beginning where there is none, to the second.
fn ended(entry: &Entry) -> String {
    let time = entry.ended.as_ref().or(entry.began.as_ref());
    time.map(|time| format!("{}Z", time.split(['.', 'Z']).next().unwrap_or_default())).unwrap_or_default()
}

/// Where the box stands, in a sentence.
fn standing(status: &Status) -> String {
    let source = |source: Source| match source {
        Source::Ledger => "its ledger",
        Source::Key => "the key in its env file",
        Source::Head => "the release tag of HEAD",
        Source::From => "what it was given",
        Source::Person => "a person's word",
    };
    let pending = match pending(status) {
        0 => "nothing is pending".to_owned(),
        1 => "1 script is pending".to_owned(),
        many => format!("{many} scripts are pending"),
    };
    match &status.level {
        Some(level) => format!("the box stands at {} by {}; {pending}", level.version, source(level.source)),
        None => format!("nobody knows where the box stands; `formula migrate baseline VERSION` says so; {pending}"),
    }
}

fn baseline(app: &App, args: &BaselineArgs) -> Outcome {
    let version = version(&args.version)?;
    let desk = Desk::new(app, &args.place)?;
    let _alone = Desk::alone(app)?;
    let status = desk.look()?;
    let forgotten: Vec<String> = status
        .entries
        .iter()
        .filter(|entry| entry.version > version && entry.state == State::Applied)
        .map(|entry| format!("{} ({})", entry.version, entry.phase.as_str()))
        .collect();
    if !forgotten.is_empty() && !args.force {
        let what = format!("the ledger knows as applied what is above {version}, and it would run again: {}", forgotten.join(", "));
        return Err(Failure::new(REFUSED, what).hint("if that is right, say so with `--force`"));
    }
    desk.append(app, &[Row::Baseline { version, source: Source::Person }])?;
    told(app, &desk, args.json)
}

/// How the box stands now.
fn told(app: &App, desk: &Desk, json: bool) -> Outcome {
    let status = desk.look()?;
    if json {
        app.ui.line(&data(&status).to_string());
    } else {
        app.ui.status(&standing(&status));
    }
    Ok(0)
}

fn repair(app: &App, args: &RepairArgs) -> Outcome {
    let version = version(&args.version)?;
    let desk = Desk::new(app, &args.place)?;
    let _alone = Desk::alone(app)?;
    let status = desk.look()?;
    if status.book.is_empty() {
        let failure = Failure::new(REFUSED, "there is no ledger yet, so there is nothing to repair");
        return Err(failure.hint("`formula migrate baseline VERSION` says where the box stands"));
    }
    let wanted = |phase: Phase| args.phase.as_deref().is_none_or(|name| name == phase.as_str());
    let entries: Vec<&Entry> = status.entries.iter().filter(|entry| entry.version == version && wanted(entry.phase)).collect();
    if entries.is_empty() {
        let phase = args.phase.as_ref().map(|phase| format!(" with the phase `{phase}`")).unwrap_or_default();
        let failure = Failure::usage(format!("neither folder nor ledger have a migration {version}{phase}"));
        return Err(failure.hint("`formula migrate status` lists them"));
    }
    let applied = if args.applied { Applied::Yes } else { Applied::No };
    let settled = |entry: &&Entry| match applied {
        Applied::Yes => entry.state.is_done() && (entry.applied_digest.is_none() || entry.applied_digest == entry.digest),
        Applied::No => entry.state == State::Pending && status.book.mark(&entry.version, entry.phase).is_some(),
    };
    let row = |entry: &Entry| Row::Repaired {
        version: entry.version.clone(),
        phase: entry.phase,
        applied,
        digest: entry.digest.clone(),
        reason: args.reason.clone(),
    };
    let rows: Vec<Row> = entries.into_iter().filter(|entry| !settled(entry)).map(row).collect();
    if rows.is_empty() {
        app.ui.status(&format!("{version} stands so already; nothing was recorded"));
    } else {
        desk.append(app, &rows)?;
    }
    told(app, &desk, args.json)
}
