//! `formula steps [KIND]`: what steps can do.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::app::App;
use super::failure::{Failure, Outcome};
use super::kind::{self, Field, Kind};
use super::table::columns;
use super::ui::Ui;
use crate::diagnostic::nearest;

/// Lists the kinds of steps, or tells all of one.
///
/// Params, outputs, how it behaves, an example.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind.
    pub kind: Option<String>,
    /// Print data.
    #[arg(long)]
    pub json: bool,
}

/// Lists or tells.
pub fn steps(app: &App, args: &Args) -> Outcome {
    let Some(name) = &args.kind else {
        list(app, args.json);
        return Ok(0);
    };
    let Some(kind) = kind::find(name) else {
        let failure = Failure::usage(format!("there is no kind `{name}`"));
        let all = kind::all();
        return Err(match nearest(name, all.iter().map(|kind| kind.name)) {
            Some(near) => failure.hint(format!("did you mean `{near}`? `formula steps` lists all of them")),
            None => failure.hint("`formula steps` lists all of them"),
        });
    };
    if args.json {
        let mut data = kind.data();
        data["v"] = 1.into();
        app.ui.line(&data.to_string());
    } else {
        app.ui.out(&told(&app.ui, &kind));
    }
    Ok(0)
}

fn list(app: &App, json: bool) {
    let all = kind::all();
    if json {
        let steps: Vec<Value> = all.iter().map(Kind::data).collect();
        app.ui.line(&json!({ "v": 1, "steps": steps }).to_string());
        return;
    }
    let rows: Vec<Vec<String>> = all.iter().map(|kind| vec![kind.name.to_owned(), kind.summary.to_owned()]).collect();
    for line in columns(&rows) {
        app.ui.line(&line);
    }
    app.ui.status("`formula steps KIND` tells all of one");
}

fn told(ui: &Ui, kind: &Kind) -> String {
    let paint = |text: &str, style: &str| if ui.color_out { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut out = format!("{}  {}\n\n", paint(kind.name, "1"), kind.summary);
    for (name, words) in [("effect", kind.effect()), ("probe", kind.probe()), ("undo", kind.undo()), ("after a crash", kind.repeat())] {
        let _ = writeln!(out, "{}  {words}", paint(&format!("{name:13}"), "2"));
    }
    let mut part = |name: &str, fields: &[Field], marks: bool| {
        if fields.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n{}", paint(name, "1"));
        for field in fields {
            let needed = if marks && field.required { ", required" } else { "" };
            let default = field.default.as_ref().map_or_else(String::new, |value| format!(", default {value}"));
            let _ = writeln!(out, "  {}  {}", paint(&field.name, "36"), paint(&format!("{}{needed}{default}", field.takes), "2"));
            for line in wrapped(&field.doc, 92) {
                let _ = writeln!(out, "      {line}");
            }
        }
    };
    part("with", &kind::fields(&kind.params), true);
    part("outputs", &kind.outputs.as_ref().map(kind::fields).unwrap_or_default(), false);
    let _ = writeln!(out, "\n{}", paint("example", "1"));
    for line in kind.example.lines() {
        out.push_str(format!("  {line}").trim_end());
        out.push('\n');
    }
    out
}

/// Paragraphs as lines of at most that many characters; lines of one paragraph flow together.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn paragraphs_flow_and_long_words_stay_whole() {
        assert_eq!(wrapped("one two\nthree\n\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("a-very-long-word b", 4), ["a-very-long-word", "b"]);
        assert!(wrapped("", 9).is_empty());
    }
}
