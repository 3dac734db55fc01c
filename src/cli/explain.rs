//! `formula explain CODE`: the long text of a problem's code.

use super::app::App;
use super::failure::{Failure, Outcome};
use crate::diagnostic::{codes, explain as find, nearest};

/// Says at length what a problem's code means.
///
/// With an example and the way out. Without a code it lists all of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The code.
    pub code: Option<String>,
}

/// Explains.
pub fn explain(app: &App, args: &Args) -> Outcome {
    let Some(code) = &args.code else {
        for entry in codes::all() {
            app.ui.line(&format!("{}  {}", entry.code, entry.title));
        }
        return Ok(0);
    };
    let Some(entry) = find(code) else {
        let failure = Failure::usage(format!("there is no code `{code}`"));
        let near = nearest(&code.to_ascii_uppercase(), codes::all().map(|entry| entry.code));
        return Err(match near {
            Some(near) => failure.hint(format!("did you mean `{near}`? `formula explain` lists all of them")),
            None => failure.hint("`formula explain` lists all of them"),
        });
    };
    app.ui.line(&format!("{}: {}\n\n{}", entry.code, entry.title, entry.text));
    Ok(0)
}
