//! `formula graph NAME`: a picture, before anything runs.

use std::ffi::OsString;

use super::app::App;
use super::failure::{Failure, Outcome};
use super::load;
use super::vars::{self, Parsed};
use crate::graph::draw::{Drawing, dot, mermaid, text};
use crate::syntax::{Builtin, Kinds as _};

/// Draws a formula.
///
/// What comes after what, what each step does to the world, the line past which there is no way back. Vars are flags, as for `run`; without
/// those that are required the formula is drawn as it is written, with lists that are not expanded.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, override_usage = "formula graph NAME [--VAR VALUE]… [--format text|dot|mermaid]")]
pub struct Args {
    /// Name or path of the formula, its vars as flags, and options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "NAME AND FLAGS")]
    pub rest: Vec<OsString>,
}

/// Draws.
pub fn graph(app: &App, args: &Args) -> Outcome {
    let Some(Parsed { name, formula, given, options, app }) = vars::parse(app, "graph", &args.rest)? else { return Ok(0) };
    let app = &app;
    let format = options.format.as_deref().unwrap_or("text");
    if !["text", "dot", "mermaid"].contains(&format) {
        let failure = Failure::usage(format!("there is no format `{format}`; there are text, dot and mermaid"));
        return Err(failure.hint(format!("for a picture: `formula graph {name} --format dot | dot -Tsvg > {name}.svg`")));
    }
    let prose = formula.steps.iter().chain(&formula.finally).any(|step| step.uses.is_none());
    let missing = formula.vars.iter().find(|(name, var)| var.required && !given.iter().any(|given| given.name == **name));
    let drawing = match (prose, missing) {
        (false, None) => {
            Drawing::of_plan(&load::plan(app, &formula, &given, options.key.as_deref(), options.lenient)?, &formula.description)
        }
        (_, missing) => {
            if let (Some((var, _)), false) = (missing, prose) {
                app.ui.status(&format!(
                    "drawn as it is written, since var `{var}` has no value; `formula graph {name} --{} …` draws what would run",
                    var.replace('_', "-")
                ));
            }
            let kinds = Builtin::default();
            Drawing::of_formula(&formula, &|kind, with| kinds.behaviour(kind, with))
        }
    };
    app.ui.out(&match format {
        "dot" => dot(&drawing),
        "mermaid" => mermaid(&drawing),
        _ => text(&drawing, &|text, style| if app.ui.color_out { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }),
    });
    Ok(0)
}
