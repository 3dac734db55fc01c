//! Brings a box to a version by the migrations in a folder.
//!
//! The folder holds one entry per version: `v0.3.0.sh`, or a folder `v0.3.0/` with `pre.sh`, `post.sh`, `down.sh` and a `migration.toml`
//! that may say `summary`, `reversible`, `schema_neutral`, `phase`, `reentrant` and `timeout`. In the place of each script may be a
//! formula: `v0.3.0.toml`, `pre.toml`, `post.toml`, `down.toml`. What is named `_…` or lies deeper is none.
//! Scripts run in the order of their versions, from above the level of the box up to `to`, those of one `phase` at a time: `pre` before
//! containers stop, `post` after they are healthy. A plain `.sh` is `pre`.
//!
//! **A script** gets `FORMULA_FROM`, `FORMULA_TO`, `FORMULA_MIGRATION`, `FORMULA_PHASE`, `FORMULA_ENV_FILE` and `FORMULA_ROOT` besides what a
//! `shell` step gets, runs in the working directory with an empty standard input, and exits 0 or fails the step. It must bear being run
//! again after it was cut off or failed; one that does not says `reentrant = false`, and then a person is asked.
//!
//! **A formula** is a run of its own inside this step, with a journal of its own in the scratch folder of the run: cut off, it goes on at the
//! step where it was; mended meanwhile, it goes on with what is mended. Going back takes its steps back, in reverse, by their own undos,
//! and only what they made. Where it waits for a person this step is held, with the command to type. It gets the same variables, and what
//! they hold as its vars `from`, `to`, `migration`, `phase`, `env_file` and `root` where it declares them. It sees the secrets of this
//! step as variables, and no others. A lock of a name of its own must not be the one that the run around it holds.
//!
//! **The ledger** in the state directory says what was applied: a row is on disk before a script starts, another after it ended, and the
//! `key` in `env_file` is moved after each. Without a ledger the key counts, then `from`, then the release tag that HEAD stands on
//! exactly; what counted is recorded as the baseline. Otherwise the step is refused with the command that says where the box stands. So
//! it is where an applied script was changed, one was left out, two have one version, or key and ledger disagree.
//!
//! **Plan.** With `ref`, the folder is read from that revision until HEAD is there, so a plan made before the checkout names what will run,
//! step by step where it is a formula, and what has no way back.
//!
//! **Going back** runs the `down.sh` of what this run applied, the last one first, once for each phase. What has none is left applied, and the
//! ledger remembers it; the key gets its old line back. A formula is taken back by its steps, and its `down` is for later runs alone. After a migration with `reversible = false` the run is past the point of no return.
//! `phase = "down"` goes back on purpose: it takes back everything above `to`, or is refused before anything is touched.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Behaviour, Change, Class, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, Undo};
use crate::dotenv::is_key;
use crate::kit::{Period, text};
use crate::migrations::{
    self, Back, Call, Calls, Direction, EnvKey, Folder, Job, KeyBefore, Level, Mark, Phase, Place, Row, Standing, Status, Version, Who,
    Work,
};

/// The kind `migrate`.
#[derive(Debug, Clone, Copy)]
pub struct Migrate;

/// Which scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// `pre.sh` and plain scripts.
    Pre,
    /// `post.sh`.
    Post,
    /// `down.sh` of everything above `to`.
    Down,
}

/// Where migrations are and where to go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The folder of migrations, below the working directory.
    #[serde(default = "default_dir")]
    pub dir: String,
    /// The version to go to.
    pub to: String,
    /// Where a box stands that has neither ledger nor key: a version, or the revision before the checkout, which must be on a release
    /// tag; HEAD where left out.
    #[serde(default)]
    pub from: String,
    /// `pre`, `post` or `down`.
    pub phase: Which,
    /// Another file for the ledger, below the working directory.
    #[serde(default)]
    pub ledger: String,
    /// The env file, below the working directory.
    #[serde(default = "default_env_file")]
    pub env_file: String,
    /// The key in it that holds the last migration; none is kept where left out.
    #[serde(default)]
    pub key: String,
    /// The revision that has the folder, where HEAD is not there yet.
    #[serde(default)]
    pub r#ref: String,
    /// How long each script may take; `0s` for any time.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
}

fn default_dir() -> String {
    "migrations".to_owned()
}

fn default_env_file() -> String {
    ".env".to_owned()
}

fn default_timeout() -> Period {
    Period::seconds(3600)
}

/// How the box stood. What was applied since is in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The level.
    pub level: Option<Level>,
    /// The key in the env file.
    pub key: Option<KeyBefore>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Versions whose scripts this step ran, in order.
    pub applied: Vec<String>,
    /// The last version up to which everything is applied; empty where nothing is known.
    pub level: String,
    /// Those of `applied` that cannot be taken back.
    pub one_way: Vec<String>,
}

impl Step for Migrate {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: "migrate",
        version: 1,
        summary: "Brings a box to a version by its migrations",
        example: r#"
[[steps]]
id   = "migrate-pre"
uses = "migrate"
with = { to = "v1.2.0", phase = "pre", ref = "v1.2.0", env_file = ".env", key = "LAST_MIGRATION" }
"#,
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    fn check(&self, params: &Params) -> Vec<String> {
        let mut problems = Vec::new();
        if Version::parse(&params.to).is_none() {
            problems.push(format!("`to` is `{}`, which is not a version such as `v0.3.0`", params.to));
        }
        if !params.key.is_empty() && !is_key(&params.key) {
            problems.push(format!("`{}` is not a name for a variable: letters, digits and `_`, not beginning with a digit", params.key));
        }
        let key = Some((params.env_file.clone(), params.key.clone()));
        problems.extend(Place { key, ..place(Path::new("/"), Path::new("/"), params) }.problems());
        if params.from.starts_with('-') || params.r#ref.starts_with('-') {
            problems.push("`from` and `ref` are revisions, which do not begin with `-`".to_owned());
        }
        if params.phase == Which::Down && !params.r#ref.is_empty() {
            problems.push("`ref` has no use with `phase = \"down\"`: the scripts to go back lie in the tree as it is".to_owned());
        }
        problems
    }

    fn one_way(&self, output: &Output) -> bool {
        !output.one_way.is_empty()
    }

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let task = Task::new(cx, params)?;
        let status = migrations::status(&cx.world, &task.place).await?;
        let jobs = match task.work(&status)? {
            Work::Jobs(jobs) => jobs,
            Work::Held { expected, found } => return Ok(Probe::Diverged { expected, found }),
        };
        let key = match task.key() {
            None => None,
            Some(key) => Some(key.before(&cx.world, &cx.workdir).await?),
        };
        if jobs.is_empty() && !status.key_lags() {
            return Ok(Probe::Present { output: task.output(&status) });
        }
        let changes = task.changes(&status, &jobs)?;
        Ok(Probe::Absent { before: Before { level: status.level, key }, changes })
    }

    async fn run(&self, cx: &Context, params: &Params, before: Option<&Before>) -> Result<Output, StepError> {
        let task = Task::new(cx, params)?;
        let mut status = migrations::status(&cx.world, &task.place).await?;
        let jobs = match task.work(&status)? {
            Work::Jobs(jobs) => jobs,
            Work::Held { expected, found } => return Err(StepError::refused(format!("expected {expected}, found {found}"))),
        };
        if let Some(commit) = status.commit.as_ref().filter(|_| !jobs.is_empty()) {
            let what = format!("the working tree is not at `{}` ({commit}), whose migrations are to run", params.r#ref);
            return Err(StepError::refused(what).hint("check it out before this step"));
        }
        // All of them before the first: one that cannot be run is not found out half-way.
        task.changes(&status, &jobs)?;
        let from = before.and_then(|before| before.level.as_ref()).or(status.level.as_ref()).map(|level| level.version.clone());
        cx.proceed()?;
        if let Some(level) = status.level.as_ref().filter(|_| status.book.is_empty() && !jobs.is_empty()) {
            let row = Row::Baseline { version: level.version.clone(), source: level.source };
            cx.log(format!("the box stands at {} ({}): recorded as its baseline", level.version, level.source.told()));
            task.append(&[row]).await?;
        }
        for (index, job) in jobs.iter().enumerate() {
            cx.proceed()?;
            cx.progress.update(&format!("{} ({})", job.version, job.phase.as_str()), Some(index as u64), Some(jobs.len() as u64));
            let way = Way { from: from.as_ref(), to: &task.to };
            let run = if params.phase == Which::Down {
                task.down(job, job.starts(Direction::Down), way).await
            } else {
                task.apply(job, &status.folder, way).await
            };
            run.map_err(|error| remaining(error, &jobs[index..], index))?;
            status = task.refreshed(&status).await?;
            task.move_key(&status).await?;
        }
        if status.key_lags() {
            task.move_key(&status).await?;
        }
        Ok(task.output(&status))
    }

    async fn undo(&self, cx: &Context, params: &Params, before: Option<&Before>, _output: Option<&Output>) -> Result<(), StepError> {
        let task = Task::new(cx, params)?;
        let folder = Folder::read(&cx.world, &task.place, None).await?;
        let level = before.and_then(|before| before.level.as_ref()).map(|level| &level.version);
        let back = Way { from: Some(&task.to), to: level.unwrap_or(&task.to) };
        if params.phase == Which::Down {
            task.apply_again(&folder, back).await?;
        } else {
            task.take_back(&folder, back).await?;
        }
        let (Some(key), Some(before)) = (task.key(), before.and_then(|before| before.key.as_ref())) else { return Ok(()) };
        let book = migrations::read(&cx.world, &task.place).await?;
        let mut ours: Vec<Version> = folder.migrations.into_iter().map(|migration| migration.version).collect();
        ours.extend(book.marks.keys().map(|(version, _)| version.clone()));
        ours.extend(book.baseline.map(|baseline| baseline.version));
        ours.push(task.to.clone());
        key.put_back(&cx.world, &cx.workdir, before, &ours).await
    }
}

/// Says what was left undone, and that what is done will not be done twice.
fn remaining(error: StepError, left: &[Job], done: usize) -> StepError {
    if error.hint.is_some() || matches!(error.class, Class::Cancelled | Class::Internal) {
        return error;
    }
    let first = &left[0];
    let later = left.len() - 1;
    let rest = if later == 0 { String::new() } else { format!("; {} after it did not run", text::count(later, "script")) };
    let before = if done == 0 { String::new() } else { format!("; {} before it will not run again", text::count(done, "script")) };
    error.hint(format!("mend `{}` and give the same command again, it goes on there{before}{rest}", first.script))
}

/// Where the box comes from and goes to, as scripts are told.
#[derive(Debug, Clone, Copy)]
struct Way<'a> {
    from: Option<&'a Version>,
    to: &'a Version,
}

fn place(workdir: &Path, state: &Path, params: &Params) -> Place {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Place {
        dir: params.dir.trim_start_matches("./").trim_end_matches('/').to_owned(),
        ledger: given(&params.ledger),
        key: given(&params.key).map(|key| (params.env_file.clone(), key)),
        r#ref: given(&params.r#ref),
        from: given(&params.from),
        ..Place::new(workdir, state)
    }
}

/// One step: where, to what, and as whom.
struct Task<'a> {
    cx: &'a Context,
    params: &'a Params,
    place: Place,
    to: Version,
    who: Who,
}

impl<'a> Task<'a> {
    fn new(cx: &'a Context, params: &'a Params) -> Result<Self, StepError> {
        if let Some(problem) = Migrate.check(params).into_iter().next() {
            return Err(StepError::refused(problem));
        }
        let to = Version::parse(&params.to).ok_or_else(|| StepError::refused(format!("`{}` is not a version", params.to)))?;
        let place = place(&cx.workdir, &cx.state, params);
        Ok(Self { cx, params, place, to, who: Who::step(&cx.run.id, &cx.step) })
    }

    fn key(&self) -> Option<EnvKey<'_>> {
        self.place.key.as_ref().map(|(file, key)| EnvKey::new(file, key))
    }

    fn work(&self, status: &Status) -> Result<Work, StepError> {
        match self.params.phase {
            Which::Pre => status.forward(&self.to, Phase::Pre),
            Which::Post => status.forward(&self.to, Phase::Post),
            Which::Down => status.backward(&self.to),
        }
    }

    fn is_mine(&self, mark: &Mark) -> bool {
        mark.who == self.who
    }

    fn output(&self, status: &Status) -> Output {
        let down = self.params.phase == Which::Down;
        let mine = |mark: &Mark| {
            if down {
                mark.down_by.as_ref() == Some(&self.who) && mark.standing == Standing::Pending
            } else {
                self.is_mine(mark) && mark.standing == Standing::Applied
            }
        };
        let mut applied = status.book.last_first(mine);
        applied.reverse();
        let names = |wanted: &dyn Fn(&Mark) -> bool| {
            applied.iter().filter(|(_, _, mark)| wanted(mark)).map(|(version, ..)| version.to_string()).collect()
        };
        Output {
            applied: names(&|_| true),
            level: status.level.as_ref().map(|level| level.version.to_string()).unwrap_or_default(),
            one_way: names(&|mark| mark.back == Back::OneWay),
        }
    }

    /// What a plan shows.
    fn changes(&self, status: &Status, jobs: &[Job]) -> Result<Vec<Change>, StepError> {
        migrations::changes(self.cx, &self.place, status, jobs, (self.params.phase == Which::Down).then_some(&self.to))
    }

    async fn append(&self, rows: &[Row]) -> Result<(), StepError> {
        migrations::append(&self.cx.world, &self.place, &self.who, rows).await
    }

    async fn refreshed(&self, status: &Status) -> Result<Status, StepError> {
        let book = migrations::read(&self.cx.world, &self.place).await?;
        Ok(status.with_book(book))
    }

    async fn move_key(&self, status: &Status) -> Result<(), StepError> {
        let (Some(key), Some(level)) = (self.key(), status.wanted_key()) else { return Ok(()) };
        key.set(&self.cx.world, &self.cx.workdir, level).await
    }

    fn call<'b>(&'b self, job: &'b Job, what: Calls<'b>, way: Way<'b>, timeout: Option<Period>) -> Call<'b> {
        Call {
            what,
            version: &job.version,
            phase: job.phase,
            from: way.from,
            to: way.to,
            timeout: timeout.unwrap_or(self.params.timeout),
            env_file: &self.params.env_file,
            again: false,
        }
    }

    /// Whether this step began it, or began to take it back, and it did not end well.
    async fn began(&self, job: &Job) -> Result<bool, StepError> {
        let book = migrations::read(&self.cx.world, &self.place).await?;
        Ok(book.mark(&job.version, job.phase).is_some_and(|mark| match mark.standing {
            Standing::Unknown | Standing::Failed => mark.who == self.who,
            Standing::Undoing => mark.down_by.as_ref() == Some(&self.who),
            Standing::Applied | Standing::Pending => false,
        }))
    }

    /// Runs the script or formula of a phase, with a row before and after.
    async fn apply(&self, job: &Job, folder: &Folder, way: Way<'_>) -> Result<(), StepError> {
        self.cx.log(format!("migration {} ({})", job.version, job.phase.as_str()));
        let timeout = folder.find(&job.version).and_then(|migration| migration.timeout);
        self.applying(job, self.call(job, job.starts(Direction::Up), way, timeout)).await
    }

    async fn applying(&self, job: &Job, call: Call<'_>) -> Result<(), StepError> {
        let call = Call { again: self.began(job).await?, ..call };
        let Job { version, phase, back, digest, .. } = job.clone();
        let (from, to) = (call.from.cloned(), call.to.clone());
        let formula = job.formula.is_some();
        self.append(&[Row::Began { version: version.clone(), phase, digest: digest.clone(), back, from, to, formula }]).await?;
        let began = migrations::now(&self.cx.world);
        let end = call.run(self.cx, &self.place).await?;
        let (ok, one_way) = (end.result.is_ok(), end.one_way);
        self.append(&[Row::Ended { version, phase, digest, began, exit: end.exit, ok, one_way }]).await?;
        end.result
    }

    /// Takes a migration back, with a row before and after.
    async fn down(&self, job: &Job, what: Calls<'_>, way: Way<'_>) -> Result<(), StepError> {
        let (version, phase) = (job.version.clone(), job.phase);
        let again = self.began(job).await?;
        self.cx.log(format!("take back migration {version} ({})", phase.as_str()));
        let (back, to) = (job.back, Some(way.to.clone()));
        self.append(&[Row::DownBegan { version: version.clone(), phase, back, to }]).await?;
        let began = migrations::now(&self.cx.world);
        let end = Call { again, ..self.call(job, what, way, None) }.run(self.cx, &self.place).await?;
        self.append(&[Row::DownEnded { version, phase, began, exit: end.exit, ok: end.result.is_ok() }]).await?;
        end.result
    }

    /// Takes back what this step applied, the last one first.
    async fn take_back(&self, folder: &Folder, way: Way<'_>) -> Result<(), StepError> {
        let book = migrations::read(&self.cx.world, &self.place).await?;
        let mine = book.last_first(|mark| self.is_mine(mark) && mark.standing != Standing::Pending && !mark.left);
        let barred: Vec<String> =
            mine.iter().filter(|(_, _, mark)| mark.back == Back::OneWay).map(|(version, ..)| version.to_string()).collect();
        if !barred.is_empty() {
            let crossed = mine.iter().any(|(_, _, mark)| mark.crossed);
            return Err(StepError::conflict(format!(
                "{} cannot be taken back ({}); nothing was taken back",
                text::some_of(&barred),
                if crossed { "what it did has no way back" } else { "`reversible = false`" }
            ))
            .hint("go on with the run once what failed is mended; or restore a backup by hand, then settle the step with `--skip`"));
        }
        for (version, phase, mark) in mine {
            self.cx.proceed()?;
            if mark.formula {
                self.down(&Job::new(version, phase, mark.back), Calls::Undo(Direction::Up), way).await?;
                continue;
            }
            if mark.back == Back::Neutral {
                self.cx.log(format!("migration {version} ({}) has no `down.sh` and stays applied", phase.as_str()));
                self.append(&[Row::Left { version: version.clone(), phase }]).await?;
                continue;
            }
            let down = folder.find(version).and_then(|migration| migration.down.clone()).ok_or_else(|| {
                StepError::conflict(format!("the `down.sh` of migration {version} is not in `{}`", self.place.dir))
                    .hint("put the folder back as it was when the migration ran, then go on with the rollback")
            })?;
            let job = Job { script: down.path, formula: down.formula, ..Job::new(version, phase, mark.back) };
            self.down(&job, job.starts(Direction::Down), way).await?;
        }
        Ok(())
    }

    /// Applies again what this step took back.
    async fn apply_again(&self, folder: &Folder, way: Way<'_>) -> Result<(), StepError> {
        let book = migrations::read(&self.cx.world, &self.place).await?;
        let taken = |mark: &Mark| mark.down_by.as_ref() == Some(&self.who) && mark.standing != Standing::Applied;
        for ((version, phase), mark) in book.marks.iter().filter(|(_, mark)| taken(mark)) {
            self.cx.proceed()?;
            let migration = folder.find(version);
            let script = migration.and_then(|migration| migration.script(*phase)).ok_or_else(|| {
                StepError::conflict(format!("migration {version} ({}) is not in `{}`", phase.as_str(), self.place.dir))
                    .hint("put the folder back as it was, then go on with the rollback")
            })?;
            let (path, digest) = (script.path.clone(), script.digest.clone());
            let job = Job { script: path, formula: script.formula.clone(), digest, ..Job::new(version, *phase, mark.back) };
            // What a formula took back, its steps put back.
            if migration.and_then(|migration| migration.down.as_ref()).is_some_and(|down| down.formula.is_some()) {
                self.applying(&job, self.call(&job, Calls::Undo(Direction::Down), way, None)).await?;
            } else {
                self.apply(&job, folder, way).await?;
            }
        }
        Ok(())
    }
}
