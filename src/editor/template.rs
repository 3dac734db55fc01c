//! Templates inside texts: the name that the cursor is in, and what may stand there.

use std::ops::Range;

use serde_json::Value;

use super::complete::{Suggestion, What, markdown};
use super::document::{Document, Names, Step};
use super::known::{HELPERS, Known, RUN, fields_below};
use super::place::Part;
use crate::syntax::schema;

/// A dotted name in a template.
#[derive(Debug)]
pub(super) struct Name {
    /// The segments up to and with the one at the cursor.
    pub path: Vec<String>,
    /// Where the last of them stands, all of it.
    pub range: Range<usize>,
    /// Whether it is the first thing in its braces or parentheses, where a helper may stand.
    pub first: bool,
}

/// Where the cursor is.
pub(super) struct Here<'a> {
    /// The path to the text.
    pub path: &'a [Part],
    /// The step it belongs to.
    pub step: Option<&'a Step>,
}

/// Whether texts at that path are read as templates.
pub(super) fn may_stand(path: &[Part], step: Option<&Step>) -> bool {
    let key = |at: usize| match path.get(at) {
        Some(Part::Key(key)) => key.as_str(),
        _ => "",
    };
    let uses = step.and_then(|step| step.uses.as_deref()).unwrap_or_default();
    match (key(0), key(2)) {
        ("steps" | "finally", "with") => !(uses == "shell" && matches!(key(3), "script" | "probe" | "undo")),
        ("steps" | "finally", "title") => matches!(uses, "approve" | "wait"),
        ("steps" | "finally", "env" | "if" | "foreach" | "secrets") | ("vars", "default") => true,
        _ => false,
    }
}

/// The name at an offset of the text within `inner`; None outside braces.
pub(super) fn name_at(text: &str, inner: &Range<usize>, offset: usize) -> Option<Name> {
    if !(inner.start..=inner.end).contains(&offset) {
        return None;
    }
    let before = &text[inner.start..offset];
    let open = before.rfind("{{").filter(|open| !before[open + 2..].contains("}}"))?;
    let begins = inner.start + open + 2;
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '@');
    let start = text[begins..offset].rfind(|letter| !is_part(letter) && letter != '.').map_or(begins, |at| begins + at + 1);
    let start = start + text[start..offset].find(is_part).unwrap_or(offset - start);
    let end = offset + text[offset..inner.end].find(|letter| !is_part(letter)).unwrap_or(inner.end - offset);
    let path: Vec<String> = text[start..end].split('.').map(str::to_owned).collect();
    let last = path.last().map_or(0, String::len);
    let lead = text[begins..start].trim_end_matches(['~', ' ', '\t', '\n', '\r']);
    let first = lead.is_empty() || lead.ends_with('(') || matches!(lead, "{" | "#if" | "#unless" | "#each" | "else if");
    Some(Name { path, range: end - last..end, first })
}

/// What may stand there.
pub(super) fn complete(document: &Document, known: &Known, here: &Here<'_>, name: &Name) -> Vec<Suggestion> {
    let names = document.names();
    let put = |label: &str, what: What, detail: String, doc: String| Suggestion {
        label: label.to_owned(),
        what,
        detail,
        doc,
        insert: label.to_owned(),
        replace: name.range.clone(),
    };
    let path: Vec<&str> = name.path[..name.path.len() - 1].iter().map(String::as_str).collect();
    let declared = |list: &[super::document::Declared]| {
        let one = |one: &super::document::Declared| {
            put(&one.name, What::Value, one.ty.clone().unwrap_or_default(), one.description.clone().unwrap_or_default())
        };
        list.iter().map(one).collect::<Vec<_>>()
    };
    let in_finally = matches!(here.path.first(), Some(Part::Key(list)) if list == "finally");
    match path.as_slice() {
        [] => roots(names, here, name.first, &put),
        ["vars"] => declared(&names.vars),
        ["env"] => declared(&names.env),
        ["run"] => {
            let shown = RUN.iter().filter(|(name, _)| *name != "summary" || in_finally);
            shown.map(|(name, doc)| put(name, What::Value, "run".to_owned(), (*doc).to_owned())).collect()
        }
        ["steps"] => {
            let own = here.step.and_then(|step| step.id.as_deref());
            let others = if in_finally { names.all().collect::<Vec<_>>() } else { names.steps.iter().collect() };
            let ids = others.into_iter().filter_map(|step| Some((step, step.id.as_deref()?))).filter(|(_, id)| Some(*id) != own);
            ids.map(|(step, id)| put(id, What::Step, step.uses.clone().unwrap_or_default(), step.title.clone().unwrap_or_default()))
                .collect()
        }
        ["steps", _] => vec![put("outputs", What::Key, String::new(), "What the step gives.".to_owned())],
        ["steps", id, "outputs", below @ ..] => {
            let fields = names.step(id).and_then(|step| output_fields(known, step, below));
            let shown = |(name, field): (&String, &(String, String))| put(name, What::Value, field.0.clone(), field.1.clone());
            fields.iter().flatten().map(|(name, takes, doc)| shown((name, &(takes.clone(), doc.clone())))).collect()
        }
        _ => Vec::new(),
    }
}

fn roots(names: &Names, here: &Here<'_>, first: bool, put: &dyn Fn(&str, What, String, String) -> Suggestion) -> Vec<Suggestion> {
    let mut found = Vec::new();
    let in_default = matches!(here.path.first(), Some(Part::Key(list)) if list == "vars");
    let mut root = |name: &str, doc: &str| found.push(put(name, What::Key, String::new(), doc.to_owned()));
    root("vars", "The inputs of the run.");
    if !in_default {
        root("steps", "What other steps gave: `steps.ID.outputs.NAME`.");
        root("run", "This run: id, key, formula, started.");
    }
    if here.step.is_some_and(|step| step.foreach) {
        root("item", "The item of `foreach` that this step is for.");
    }
    if !names.env.is_empty() {
        root("env", "Variables of the environment that [env] declares.");
    }
    if first {
        found.extend(HELPERS.iter().map(|(name, usage, gives)| put(name, What::Helper, (*usage).to_owned(), format!("Gives {gives}."))));
    }
    found
}

/// Name, type and meaning of what a step gives at a path below its outputs.
pub(super) fn output_fields(known: &Known, step: &Step, below: &[&str]) -> Option<Vec<(String, String, String)>> {
    // A step under `foreach` gives a table per item, whose names are not known here.
    let below = if step.foreach { below.get(1..)? } else { below };
    let root = known.outputs(step)?;
    let path: Vec<String> = below.iter().map(|name| (*name).to_owned()).collect();
    let fields = fields_below(&root, &path)?;
    let doc = |field: &Value| {
        let told = [field, schema::resolve(&root, field)].into_iter().find_map(|schema| schema["description"].as_str());
        told.unwrap_or_default().to_owned()
    };
    Some(fields.iter().map(|(name, field)| (name.clone(), schema::describe(&root, field), doc(field))).collect())
}

/// What a name means, in Markdown.
pub(super) fn told(document: &Document, known: &Known, name: &Name) -> Option<String> {
    let names = document.names();
    let path: Vec<&str> = name.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        [helper] if name.first && HELPERS.iter().any(|(known, ..)| known == helper) => {
            HELPERS.iter().find(|(known, ..)| known == helper).map(|(_, usage, gives)| format!("`{{{{ {usage} }}}}` gives {gives}."))
        }
        ["vars", name, ..] => {
            let var = names.vars.iter().find(|var| var.name == *name)?;
            let ty = var.ty.as_deref().unwrap_or("string");
            Some(format!("**vars.{name}** ({ty})\n\n{}", var.description.as_deref().unwrap_or_default()))
        }
        ["env", name] => {
            let var = names.env.iter().find(|var| var.name == *name)?;
            Some(format!("**env.{name}**: a variable of the environment\n\n{}", var.description.as_deref().unwrap_or_default()))
        }
        ["run", name, ..] => RUN.iter().find(|(known, _)| known == name).map(|(name, doc)| format!("**run.{name}**\n\n{doc}.")),
        ["steps", id] | ["steps", id, "outputs"] => Some(step_told(known, names.step(id)?)),
        ["steps", id, "outputs", below @ .., last] => {
            let step = names.step(id)?;
            let fields = output_fields(known, step, below)?;
            let (name, takes, doc) = fields.into_iter().find(|(name, ..)| name == last)?;
            let takes = markdown(&takes);
            Some(format!("**{name}** ({takes}), given by `{id}` ({})\n\n{doc}", step.uses.as_deref().unwrap_or("prose")))
        }
        ["item"] => Some("The item of `foreach` that this step is for.".to_owned()),
        _ => None,
    }
}

/// What a step is, in Markdown.
pub(super) fn step_told(known: &Known, step: &Step) -> String {
    let id = step.id.as_deref().unwrap_or_default();
    let kind = step.uses.as_deref().unwrap_or("prose");
    let summary = known.kind(kind).map_or("", |kind| kind.summary);
    format!("**{id}**: {}\n\n`{kind}`: {summary}", step.title.as_deref().unwrap_or("a step"))
}
