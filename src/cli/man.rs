//! `formula man [COMMAND]`.

use clap::CommandFactory as _;

use super::app::{App, VERSION};
use super::failure::{Failure, Outcome};
use super::root::Root;

/// Prints a manual page.
///
/// In roff: `formula man | man -l -`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The page of one command.
    pub command: Option<String>,
}

/// Prints the page.
pub fn man(app: &App, args: &Args) -> Outcome {
    let mut root = Root::command();
    // Gives subcommands their full names.
    root.build();
    let page = match &args.command {
        None => clap_mangen::Man::new(root),
        Some(name) => {
            let command = root.find_subcommand(name).filter(|command| !command.is_hide_set());
            let command =
                command.ok_or_else(|| Failure::usage(format!("there is no command `{name}`")).hint("`formula --help` lists them"))?;
            clap_mangen::Man::new(command.clone().name(format!("formula-{name}")))
        }
    };
    let mut roff = Vec::new();
    let page = page.source(format!("formula {VERSION}"));
    page.render(&mut roff).map_err(|error| Failure::new(1, format!("cannot render the page: {error}")))?;
    app.ui.out(&String::from_utf8_lossy(&roff));
    Ok(0)
}
