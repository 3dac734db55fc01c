//! `formula doctor`: has this box drifted?

use std::sync::Arc;

use formula_steps::contract::{Class, Context, RunInfo};
use formula_steps::drift::{self, Subject};

use super::app::App;
use super::failure::{Failure, Outcome};
use crate::backend::JournalRecords;
use crate::doctor;
use crate::report::Style;

/// Looks for drift of this box.
///
/// Every check with what was seen and what mends it, all in one go. Looks only, changes nothing. Exits with 30 where something stands in
/// the way of an upgrade; where the box is too far gone for one, the ordered reset is shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Description of this kind of box [default: box.toml, else the shipped one].
    #[arg(long = "box", value_name = "FILE")]
    pub box_file: Option<String>,
    /// The compose file [default: docker-compose.yml].
    #[arg(long, value_name = "FILE")]
    pub compose_file: Option<String>,
    /// The compose project [default: what runs here, else the folder's name].
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// The template of the compose file [default: docker-compose.yml.hbs, else the shipped one].
    #[arg(long, value_name = "FILE")]
    pub template: Option<String>,
    /// Pattern of the project files [default: projects/*.toml].
    #[arg(long, value_name = "PATTERN")]
    pub data: Option<String>,
    /// The env file [default: .env].
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<String>,
    /// The folder of the migrations [default: migrations].
    #[arg(long, value_name = "DIR")]
    pub migrations: Option<String>,
    /// The remote that releases come from [default: origin].
    #[arg(long, value_name = "NAME")]
    pub remote: Option<String>,
    /// A check whose finding you accept, such as d7; can be repeated.
    #[arg(long, value_name = "CHECK")]
    pub accept: Vec<String>,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    fn subject(&self) -> Subject {
        let usual = Subject::default();
        let or = |given: &Option<String>, usual: String| given.clone().unwrap_or(usual);
        Subject {
            box_file: or(&self.box_file, usual.box_file),
            compose_file: or(&self.compose_file, usual.compose_file),
            project: or(&self.project, usual.project),
            template: or(&self.template, usual.template),
            data: or(&self.data, usual.data),
            env_file: or(&self.env_file, usual.env_file),
            migrations: or(&self.migrations, usual.migrations),
            remote: or(&self.remote, usual.remote),
            accept: self.accept.clone(),
            ..Subject::default()
        }
    }
}

/// Looks.
pub fn doctor(app: &App, args: &Args) -> Outcome {
    let mut cx = Context::bare(app.world(&app.holder().mark()), &app.workdir);
    cx.base_env = Arc::new(app.env.clone());
    cx.state = Arc::from(app.state_dir.as_path());
    if let Some(run) = app.var("FORMULA_RUN") {
        // A run that asks from within one of its steps is not in its own way.
        cx.run = Arc::new(RunInfo { id: run.to_owned(), formula: String::new(), started: String::new() });
    }
    if let Some(journal) = app.journal()? {
        cx.records = Arc::new(JournalRecords::new(journal, app.workdir.clone()));
    }
    let report = app.runtime()?.block_on(drift::survey(&cx, &args.subject())).map_err(|error| {
        let code = if error.class == Class::Refused { 10 } else { 1 };
        let failure = Failure::new(code, error.message);
        error.hint.into_iter().fold(failure, Failure::hint)
    })?;
    if args.json {
        app.ui.line(&doctor::to_json(&report).to_string());
    } else {
        let style = Style { color: app.ui.color_out, ..Style::default() };
        for line in doctor::lines(&report, style, app.ui.terminal_out) {
            app.ui.told(&format!("{line}\n"));
        }
        app.ui.status(&doctor::summary(&report));
    }
    Ok(if report.blockers().next().is_some() { 30 } else { 0 })
}
