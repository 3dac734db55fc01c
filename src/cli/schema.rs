//! `formula schema`: what editors and programs check against.

use super::app::App;
use crate::model::line_schema;
use crate::syntax::{Builtin, file_schema};

/// Prints the JSON Schema of formula files.
///
/// For completion and hover in editors: save it beside the files as `formula.schema.json`, and begin each with `#:schema
/// ./formula.schema.json`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema of what `--json` prints instead, one line.
    #[arg(long)]
    pub events: bool,
}

/// Prints it.
pub fn schema(app: &App, args: &Args) -> u8 {
    let schema = if args.events { line_schema() } else { file_schema(&Builtin::default()) };
    app.ui.line(&format!("{schema:#}"));
    0
}
