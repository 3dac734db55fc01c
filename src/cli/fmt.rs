//! `formula fmt`: the layout of formulas.

use std::io::{Read as _, Write as _};
use std::path::Path;

use similar::{ChangeTag, TextDiff};

use super::app::App;
use super::failure::{Failure, Outcome};
use super::{check, load};
use crate::catalog;
use crate::diagnostic::{SourceFile, render};
use crate::format::{Refused, format};
use crate::syntax::Options;

/// Lays out formulas.
///
/// Keys in their order, equals signs aligned, one empty line between sections. Comments stay with what they stand above, the order of steps,
/// vars and params is yours, and no value changes. A file that is not TOML is left as it is, and its problems are told. Any other TOML file
/// will do as well.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or paths of formulas; `-` reads standard input and writes standard output [default: every formula of ./formulas].
    #[arg(value_name = "NAME|FILE")]
    pub formulas: Vec<String>,
    /// Write nothing; print what would change as a diff, and exit with 30 if anything would.
    #[arg(long)]
    pub check: bool,
    /// Read files with letter-escapes that TOML does not know.
    #[arg(long)]
    pub lenient: bool,
}

/// What became of one file.
enum Done {
    Same,
    Changed,
    Broken,
}

/// Lays out.
pub fn fmt(app: &App, args: &Args) -> Outcome {
    let names = if args.formulas.is_empty() { check::here(app, "fmt")? } else { args.formulas.clone() };
    let (mut changed, mut broken) = (0, 0);
    for name in &names {
        match one(app, args, name)? {
            Done::Same => {}
            Done::Changed => changed += 1,
            Done::Broken => broken += 1,
        }
    }
    let all = check::plural(names.len(), "formula");
    let what = if args.check { "would change" } else { "changed" };
    let problems = if broken == 0 { String::new() } else { format!(", {broken} not TOML and left alone") };
    if names != ["-"] {
        app.ui.status(&format!("{all}, {changed} {what}{problems}"));
    }
    Ok(match (broken, args.check && changed > 0) {
        (0, false) => 0,
        (0, true) => 30,
        _ => 10,
    })
}

fn one(app: &App, args: &Args, name: &str) -> Result<Done, Failure> {
    let source = if name == "-" { standard_input()? } else { read(app, name)? };
    let text = match format(&source, Options { lenient: args.lenient, ..Options::default() }) {
        Ok(text) => text,
        Err(Refused::NotToml(problems)) => {
            for problem in &problems {
                app.ui.err(&render(&source, problem, app.ui.color_err));
                app.ui.err("");
            }
            return Ok(Done::Broken);
        }
        Err(Refused::Changed) => {
            let failure =
                Failure::new(1, format!("laying out `{}` would change what it says, so it was left alone", source.path.display()));
            return Err(failure.hint("this is a defect of formula; please report it with the file"));
        }
    };
    let differs = text != source.text;
    if args.check {
        if differs {
            app.ui.out(&diff(app, &source, &text));
        }
    } else if name == "-" {
        app.ui.out(&text);
    } else if differs {
        write(&app.workdir.join(&source.path), &text)
            .map_err(|error| Failure::new(1, format!("cannot write `{}`: {error}", source.path.display())))?;
        app.ui.line(&source.path.display().to_string());
    }
    Ok(if differs { Done::Changed } else { Done::Same })
}

fn read(app: &App, name: &str) -> Result<SourceFile, Failure> {
    let source = load::source(app, name)?;
    if catalog::is_shipped(&source.path) {
        let failure = Failure::usage(format!("`{name}` comes with the program, there is no file to write"));
        return Err(failure.hint("name a file of yours, such as formulas/NAME.toml"));
    }
    Ok(source)
}

fn standard_input() -> Result<SourceFile, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(SourceFile::LARGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(1, format!("cannot read standard input: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::new(10, "standard input is not UTF-8 text"))?;
    Ok(SourceFile::new("-", text))
}

/// Replaces the file in one go, with the permissions it has. A link is followed, and stays.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".formula-fmt-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map(drop).map_err(|error| error.error)
}

fn diff(app: &App, source: &SourceFile, text: &str) -> String {
    let paint = |text: &str, style: &str| if app.ui.color_out { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() };
    let path = source.path.display();
    let mut out = format!("{}\n{}\n", paint(&format!("--- {path}"), "1"), paint(&format!("+++ {path}"), "1"));
    let lines = TextDiff::from_lines(source.text.as_str(), text);
    for hunk in lines.unified_diff().context_radius(2).iter_hunks() {
        out.push_str(&paint(&hunk.header().to_string(), "36"));
        out.push('\n');
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches('\n');
            let (mark, style) = match change.tag() {
                ChangeTag::Delete => ("-", "31"),
                ChangeTag::Insert => ("+", "32"),
                ChangeTag::Equal => (" ", "0"),
            };
            out.push_str(&paint(&[mark, line].concat(), style));
            out.push('\n');
        }
    }
    out
}
