//! The questions that `formula new` asks on a terminal. Each is left out where a flag has answered it.

use std::path::Path;

use dialoguer::console::Term;
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Error, Input, MultiSelect, Select};
use formula_steps::contract::Effect;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use super::var::Var;
use super::{Args, From};
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::syntax::manual::{self, Kind};

/// The args with what was answered.
///
/// # Errors
/// When the person stops, or says that nothing shall be written.
pub(super) fn ask(app: &App, args: &Args, file: &Path) -> Result<Args, Failure> {
    // Ctrl-C would end the program with the cursor hidden; with somebody listening it is an error of the question instead.
    let runtime = app.runtime()?;
    let _listening = runtime.block_on(async { signal(SignalKind::interrupt()) });
    let _key = CtrlCIsAKey::new();
    let terminal = Term::stderr();
    let asked = questions(args, file, &terminal);
    // A question that was broken off may have hidden it.
    let _ = terminal.show_cursor();
    asked.map_err(|Error::IO(error)| match error.kind() {
        std::io::ErrorKind::Interrupted => Failure::new(130, "stopped, nothing was written"),
        _ => Failure::usage(format!("cannot ask: {error}")).hint("`--yes` asks nothing, the flags say everything"),
    })?
}

/// As long as it lives, Ctrl-C stays in the input until a question reads it. Between two questions the terminal would make a signal of it,
/// of which the next one would know nothing.
struct CtrlCIsAKey(Option<Termios>);

impl CtrlCIsAKey {
    fn new() -> Self {
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Self(None) };
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ISIG);
        Self(tcsetattr(std::io::stdin(), OptionalActions::Drain, &now).is_ok().then_some(before))
    }
}

impl Drop for CtrlCIsAKey {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
        }
    }
}

fn questions(args: &Args, file: &Path, terminal: &Term) -> Result<Result<Args, Failure>, Error> {
    let theme = ColorfulTheme::default();
    let mut args = args.clone();
    if args.describe.is_none() {
        let question = Input::<String>::with_theme(&theme).with_prompt("What does it do, in one line?");
        args.describe = Some(question.default(format!("What {} does", args.name)).interact_text_on(terminal)?);
    }
    if args.from.is_none() && args.kinds.is_empty() {
        let choices = ["nothing", "release: build, push, tag and announce a version", "upgrade: bring a box to a version"];
        let chosen = Select::with_theme(&theme).with_prompt("Begin with").items(choices).default(0).interact_on(terminal)?;
        args.from = Some([From::Empty, From::Release, From::Upgrade][chosen]);
    }
    if args.vars.is_empty() {
        loop {
            let question =
                Input::<String>::with_theme(&theme).with_prompt("An input, such as version:version or port:int=8080 (none: Enter)");
            let valid = |text: &String| if text.is_empty() { Ok(()) } else { text.parse::<Var>().map(drop) };
            let text = question.allow_empty(true).validate_with(valid).interact_text_on(terminal)?;
            match text.parse() {
                Ok(var) => args.vars.push(var),
                Err(_) => break,
            }
        }
    }
    if args.kinds.is_empty() && args.from.unwrap_or_default() == From::Empty {
        let kinds = manual::all();
        let lines = kinds.iter().map(|kind| format!("{:16} {}", kind.name, kind.summary));
        let question = MultiSelect::with_theme(&theme).with_prompt("Steps of which kinds? (Space chooses, Enter ends)");
        let chosen = question.items(lines).max_length(12).interact_on(terminal)?;
        let mut chosen: Vec<&Kind> = chosen.into_iter().map(|at| &kinds[at]).collect();
        // Looks and gates first, what has no way back last: the list is no order that anybody chose.
        chosen.sort_by_key(|kind| kind.behaviour.map_or(Effect::ReadOnly, |behaviour| behaviour.effect));
        args.kinds = chosen.into_iter().map(|kind| kind.name.to_owned()).collect();
    }
    let question = Confirm::with_theme(&theme).with_prompt(format!("Write {} and its test?", file.display()));
    if question.default(true).interact_on(terminal)? {
        return Ok(Ok(args));
    }
    Ok(Err(Failure::new(21, "nothing was written")))
}
