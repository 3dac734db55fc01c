//! The two texts: the formula and its test.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use toml::Value;

use super::parts::{self, World};
use super::{Args, From};
use crate::catalog::{SHIPPED, SHIPPED_TESTS};
use crate::syntax::manual;

/// What is to be written.
pub(super) struct Made {
    pub formula: String,
    pub test: String,
}

/// A step that needs nothing and shows what steps look like.
const FIRST: &str =
    "id = \"note\"\ntitle = \"Write a note\"\nuses = \"write-file\"\nwith = { path = \"NAME.txt\", content = \"written by NAME\\n\" }\n";

/// Makes them.
pub(super) fn make(args: &Args) -> Made {
    let from = args.from.unwrap_or_default();
    let base = match from {
        From::Empty => None,
        From::Release => Some("release"),
        From::Upgrade => Some("upgrade"),
    };
    let base = base.and_then(|name| SHIPPED.iter().find(|(shipped, _)| *shipped == name));
    let mut ids: HashSet<String> = HashSet::new();
    let mut worlds: BTreeSet<World> = BTreeSet::new();
    let (mut declares, mut steps, mut shells) = (String::new(), String::new(), String::new());
    for var in &args.vars {
        let _ = writeln!(declares, "\n{}", var.declared());
    }
    if let Some((_, text)) = base {
        ids.extend(text.lines().filter_map(|line| Some(line.strip_prefix("id")?.split('"').nth(1)?.to_owned())));
    }
    for kind in &args.kinds {
        let part = parts::of(kind);
        let (id, step) = step(kind, part.and_then(|part| part.step), &ids);
        let _ = writeln!(steps, "\n[[steps]]\n{step}");
        if let Some(part) = part {
            worlds.extend(part.world);
            if !declares.contains(part.declares) {
                let _ = writeln!(declares, "\n{}", part.declares);
            }
        }
        match kind.as_str() {
            "shell" => drop(write!(shells, "\n[shell.{id}]\nwrites = {{ \"build/stamp\" = \"\" }}\n")),
            "formula" => shells.push_str(&inlined(&id)),
            _ => {}
        }
        ids.insert(id);
    }
    let name = Value::from(args.name.as_str());
    let described = args.describe.as_deref().map(|text| Value::from(text).to_string());
    let formula = if let Some((_, text)) = base {
        derived(text, &name, described.as_deref(), &declares, &steps)
    } else {
        let described = described.unwrap_or_else(|| Value::from(format!("What {} does", args.name)).to_string());
        let steps = if steps.is_empty() { format!("\n[[steps]]\n{}", FIRST.replace("NAME", &args.name)) } else { steps };
        format!("name = {name}\ndescription = {described}\nversion = 1\n{declares}{steps}")
    };
    let base = base.and_then(|(name, _)| SHIPPED_TESTS.iter().find(|(shipped, _)| shipped == name)).map(|(_, text)| *text);
    Made { formula: format!("#:schema ./formula.schema.json\n{formula}"), test: test(args, base, &worlds, &shells) }
}

/// The id and the entries of a step of that kind, with an id that is free.
fn step(kind: &str, own: Option<&str>, ids: &HashSet<String>) -> (String, String) {
    let example = manual::find(kind).map_or("", |kind| kind.example);
    let text = own.unwrap_or_else(|| example.trim_start_matches("[[steps]]\n"));
    let line = text.lines().find(|line| line.starts_with("id")).unwrap_or_default();
    let id = line.split('"').nth(1).unwrap_or(kind);
    let mut free = id.to_owned();
    let mut number = 1;
    while ids.contains(&free) {
        number += 1;
        free = format!("{id}-{number}");
    }
    let text = text.replacen(line, &format!("id = \"{free}\""), 1);
    (free, text)
}

/// What the shell steps of `hello` do.
fn inlined(id: &str) -> String {
    let stub = |step: &str, says: &str| format!("\n[shell.\"{id}/{step}\"]\n{says}\n");
    let compose = stub("compose", "outputs = { greeting = \"Hello, world!\" }");
    format!("{compose}{}{}", stub("say", "stdout = \"Hello, world!\\n\""), stub("done", "stdout = \"That was it\\n\""))
}

/// A shipped formula under another name, with more vars before its steps and more steps behind them.
fn derived(text: &str, name: &Value, described: Option<&str>, declares: &str, steps: &str) -> String {
    let mut out = String::new();
    let mut declared = false;
    for line in text.lines() {
        if line == "[[steps]]" && !declared {
            let _ = writeln!(out, "{declares}");
            declared = true;
        }
        let key = line.split('=').next().unwrap_or_default().trim_end();
        let in_head = !out.contains("\n[") && !out.starts_with('[');
        match (key, described) {
            ("name", _) if in_head => drop(write!(out, "name = {name}")),
            ("description", Some(described)) if in_head => drop(write!(out, "description = {described}")),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out.push_str(steps);
    out
}

/// The test: values of vars, the world, and what is expected; or that of the formula it begins with, and what more is needed.
fn test(args: &Args, base: Option<&str>, worlds: &BTreeSet<World>, shells: &str) -> String {
    let mut text = format!("# What `formula test {}` rehearses: the world it finds, and what must come of it.\n", args.name);
    let samples: Vec<String> = args.vars.iter().filter_map(super::var::Var::sample).collect();
    if let Some(base) = base {
        let rest = base.split_once('\n').filter(|(first, _)| first.starts_with('#')).map_or(base, |(_, rest)| rest);
        let vars = samples.iter().fold("[vars]\n".to_owned(), |text, line| text + line + "\n");
        text.push_str(&rest.replacen("[vars]\n", &vars, 1));
        text.push_str(shells);
        return text;
    }
    if !samples.is_empty() {
        let _ = writeln!(text, "\n[vars]\n{}", samples.join("\n"));
    }
    for world in worlds {
        let part = world.text();
        // Addresses come last, so that those of two kinds of steps are one table.
        match part.strip_prefix("[world.http]\n") {
            Some(more) if text.contains("[world.http]\n") => text.push_str(more),
            _ => drop(write!(text, "\n{part}")),
        }
    }
    text.push_str(shells);
    text.push_str("\n[expect]\noutcome = \"done\"\n");
    text
}
