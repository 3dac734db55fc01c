//! The commands and the flags they share.

use std::path::PathBuf;

use super::ui::ColorChoice;
use super::{
    answer, cancel, check, complete, completions, docs, doctor, explain, fmt, graph, list, log, lsp, man, migrate, new, plan, prune,
    resume, rollback, run, runs, schema, show, steps, test,
};

/// Runs formulas: TOML files whose steps form a DAG. Every step is written down before and after it; after any failure or crash the same
/// command carries on from the failing step, or `formula rollback` takes back what the run made.
#[derive(Debug, clap::Parser)]
#[command(name = "formula", version = super::app::VERSION, propagate_version = false, max_term_width = 100)]
pub struct Root {
    /// Shared flags.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Work in this directory.
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Keep the journal and logs here [env: FORMULA_STATE_DIR] [default: .formula].
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// When to colour.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: ColorChoice,
    /// Say nothing but failures.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Show the output of steps.
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// Every command; the docs of its args are its help.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Run(run::Args),
    Plan(plan::Args),
    Resume(resume::Args),
    Rollback(rollback::Args),
    Settle(answer::SettleArgs),
    Approve(answer::ApproveArgs),
    Cancel(cancel::Args),
    Check(check::Args),
    Fmt(fmt::Args),
    Doctor(doctor::Args),
    Runs(runs::Args),
    Show(show::Args),
    Log(log::Args),
    List(list::Args),
    Steps(steps::Args),
    Test(test::Args),
    Explain(explain::Args),
    Graph(graph::Args),
    New(new::Args),
    Schema(schema::Args),
    Lsp(lsp::Args),
    Completions(completions::Args),
    #[command(name = "__complete", hide = true)]
    Complete(complete::Args),
    Man(man::Args),
    Docs(docs::Args),
    Migrate(migrate::Args),
    Prune(prune::Args),
}
