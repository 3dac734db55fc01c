//! `formula man [COMMAND]`.

use std::fmt::Write as _;

use super::app::{App, VERSION};
use super::docs;
use super::failure::{Failure, Outcome};
use super::vars;

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
    let mut root = vars::described();
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
    let mut roff = String::from_utf8_lossy(&roff).into_owned();
    section(&mut roff, "EXIT STATUS", docs::EXIT_CODES.iter().map(|(code, means, _)| (code.to_string(), *means)));
    section(&mut roff, "ENVIRONMENT", ENVIRONMENT.into_iter().map(|(name, means)| (name.to_owned(), means)));
    app.ui.out(&roff);
    Ok(0)
}

/// Variables that every command looks at.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("FORMULA_STATE_DIR", "where the journal and logs are kept, unless --state-dir says it"),
    ("FORMULA_PATH", "folders with formulas, with a colon between two"),
    ("FORMULA_VAR_NAME", "the value of the var `name`, unless the command line or a file of vars has one"),
    ("XDG_CONFIG_HOME", "formula/formulas in it holds your own formulas"),
    ("XDG_STATE_HOME", "formula/locks in it holds the locks that state directories share"),
    ("NO_COLOR", "no colour, if it is set and not empty"),
];

/// A section of terms and what they mean.
fn section(roff: &mut String, title: &str, terms: impl Iterator<Item = (String, &'static str)>) {
    let plain = |text: &str| text.replace('\\', "\\\\").replace('-', "\\-");
    let _ = writeln!(roff, ".SH \"{title}\"");
    for (term, means) in terms {
        let _ = writeln!(roff, ".TP\n\\fB{}\\fR\n{}", plain(&term), plain(means));
    }
}
