//! From TOML to a checked [`Formula`]: every problem of a file in one go, each with its place and the way out.
//!
//! Knows what may be written, and asks [`Kinds`] what steps take and give. Knows no inputs, no world and no run: what depends on the values
//! of vars is settled when a run is planned.

mod cx;
mod document;
pub mod duration;
mod file_schema;
mod fits;
pub mod gates;
mod json;
mod kinds;
mod lexical;
mod limit;
pub mod manual;
mod names;
mod order;
mod outputs;
mod params;
mod patch;
mod pieces;
mod reader;
pub mod schema;
mod secrets;
mod sieve;
mod step;
mod strings;
mod subject;
mod table;
mod vars;

use std::collections::HashMap;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

pub use document::MOST_STEPS;
pub use file_schema::file_schema;
pub use fits::value_fits;
pub use kinds::{Builtin, GATE_BEHAVIOUR, Kinds};
pub use reader::Reader;

use crate::diagnostic::{Diagnostic, Severity, SourceFile, codes};
use crate::lint;
use crate::model::{Formula, StepDef};
use cx::Cx;
use document::Document;
use names::{Names, Use};
use outputs::Outputs;
use patch::Patch;

/// How strict to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Doubles the backslash of escapes that TOML does not know, and warns.
    pub lenient: bool,
    /// Makes errors of warnings.
    pub strict: bool,
    /// `name` need not equal the file's stem.
    pub any_name: bool,
}

/// What a file holds and what is wrong with it.
#[derive(Debug)]
pub struct Parsed {
    /// The formula; None if any problem is an error.
    pub formula: Option<Formula>,
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a formula, without lints.
pub fn parse(source: &SourceFile, kinds: &dyn Kinds, options: Options) -> Parsed {
    read(source, kinds, options, false)
}

/// Reads and checks a formula, and looks for what is probably not meant.
pub fn check(source: &SourceFile, kinds: &dyn Kinds, options: Options) -> Parsed {
    read(source, kinds, options, true)
}

/// The values of a file, whatever they mean.
///
/// # Errors
/// A file that is not TOML; every problem with its place.
pub fn plain(source: &SourceFile, options: Options) -> Result<toml::Table, Vec<Diagnostic>> {
    let (patch, found) = readable(source, options)?;
    let nobody = Builtin::new([]);
    let cx = Cx::new(source, &patch, &nobody);
    report_all(&cx, &DeTable::parse_recoverable(&patch.text).1);
    let mut problems = cx.into_found();
    for problem in &mut problems {
        patch.restore(problem);
    }
    problems.extend(found.into_iter().filter(|problem| problem.severity == Severity::Error));
    if problems.is_empty()
        && let Ok(table) = toml::from_str(&patch.text)
    {
        return Ok(table);
    }
    Err(limit::limited(problems))
}

fn read(source: &SourceFile, kinds: &dyn Kinds, options: Options, lints: bool) -> Parsed {
    let (mut diagnostics, formula) = match readable(source, options).and_then(|read| sieve::pass(source, kinds, read)) {
        Ok((patch, mut found)) => {
            let (formula, more) = read_toml(source, &patch, kinds, options, lints);
            found.extend(more);
            (found, formula)
        }
        Err(found) => (found, None),
    };
    if options.strict {
        for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.severity == Severity::Warning) {
            diagnostic.severity = Severity::Error;
        }
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.primary.as_ref().map_or(0, |label| label.range.start));
    let sound = diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
    Parsed { formula: formula.filter(|_| sound), diagnostics: limit::limited(diagnostics) }
}

/// The text to parse, and what is known of it before.
type Readable<'s> = (Patch<'s>, Vec<Diagnostic>);

/// Whether any file that is read as TOML, and is no formula, has a size that can be parsed.
///
/// # Errors
/// What is too much about it.
pub fn sized(source: &SourceFile) -> Result<(), Box<Diagnostic>> {
    let first = |found: Vec<Diagnostic>| found.into_iter().find(|problem| problem.severity == Severity::Error);
    match readable(source, Options::default()) {
        // The parser says more about what it does not know.
        Err(found) => first(found).filter(|problem| problem.code != codes::ESCAPE).map_or(Ok(()), |problem| Err(Box::new(problem))),
        Ok(_) => Ok(()),
    }
}

/// The text that TOML is parsed from, or why there is no point in trying.
fn readable(source: &SourceFile, options: Options) -> Result<Readable<'_>, Vec<Diagnostic>> {
    if source.text.len() > SourceFile::LARGEST {
        let problem = Diagnostic::error(codes::TOO_LARGE, "the file is larger than 16 MiB");
        return Err(vec![problem.help("is this the right file?")]);
    }
    let tokens = lexical::scan(&source.text);
    if let Some(range) = tokens.too_deep {
        let problem = Diagnostic::error(codes::TOO_DEEP, format!("nested more than {} deep", lexical::DEEPEST));
        return Err(vec![problem.at(range, "here").help("keep deep data in a file of its own")]);
    }
    let shown = tokens.escapes.iter().take(limit::ESCAPES);
    let found: Vec<Diagnostic> = shown.map(|at| unknown_escape(source, *at, options)).collect();
    if tokens.escapes.len() > limit::ESCAPES {
        let errors = found.into_iter().map(|problem| Diagnostic { severity: Severity::Error, ..problem });
        return Err(errors.collect());
    }
    match limit::too_much(&source.text, &tokens, MOST_STEPS) {
        Some(problem) => Err(vec![problem]),
        None => Ok((Patch::new(&source.text, &tokens.escapes, &tokens.steps), found)),
    }
}

fn unknown_escape(source: &SourceFile, at: usize, options: Options) -> Diagnostic {
    let letter = source.text[at + 1..].chars().next().unwrap_or(' ');
    let message = format!("TOML does not know the escape `\\{letter}`");
    let range = at..at + 1 + letter.len_utf8();
    if options.lenient {
        return Diagnostic::warning(codes::ESCAPE, message).at(range, "read as a backslash").help(format!("write `\\\\{letter}`"));
    }
    let help = format!("write `\\\\{letter}`, or put the text in single quotes; `--lenient` reads it like that");
    Diagnostic::error(codes::ESCAPE, message).at(range, "not an escape of TOML").help(help)
}

fn read_toml(
    source: &SourceFile,
    patch: &Patch<'_>,
    kinds: &dyn Kinds,
    options: Options,
    lints: bool,
) -> (Option<Formula>, Vec<Diagnostic>) {
    let (root, errors) = pieces::parse(&patch.text, &patch.headers);
    let cx = Cx::new(source, patch, kinds);
    let broken = report_all(&cx, &errors);
    // What is left of a file that is not TOML would give wrong ideas of what is missing.
    let formula = if broken { None } else { Some(lower(&cx, &root, options, lints)) };
    let mut found = cx.into_found();
    for diagnostic in &mut found {
        patch.restore(diagnostic);
    }
    (formula, found)
}

/// Reports what the parser found; whether what is left is not what was written.
fn report_all(cx: &Cx<'_>, errors: &[toml::de::Error]) -> bool {
    let is_duplicate = |error: &toml::de::Error| error.message() == "duplicate key";
    for error in errors.iter().take(limit::HOPELESS) {
        cx.report(if is_duplicate(error) { duplicate_key(cx, error) } else { syntax_error(error) });
    }
    errors.len() >= limit::HOPELESS || !errors.iter().all(is_duplicate)
}

fn syntax_error(error: &toml::de::Error) -> Diagnostic {
    let mut message = error.message().to_owned();
    message.retain(|letter| letter != '\n');
    let problem = Diagnostic::error(codes::SYNTAX, format!("not valid TOML: {message}"));
    match error.span() {
        Some(range) => problem.at(range, ""),
        None => problem,
    }
}

fn duplicate_key(cx: &Cx<'_>, error: &toml::de::Error) -> Diagnostic {
    let range = error.span().unwrap_or_default();
    let name = cx.text().get(range.clone()).unwrap_or_default();
    let problem = Diagnostic::error(codes::DUPLICATE_KEY, format!("`{name}` is written twice")).at(range.clone(), "again");
    match cx.may_look_back().then(|| lexical::first_of(cx.text(), &range)).flatten() {
        Some(first) => {
            let line = cx.line(first.start);
            problem.also(first, "first").help(format!("leave out this one or the one on line {line}"))
        }
        None => problem.help("leave one of them out"),
    }
}

fn lower<'t>(cx: &Cx<'_>, root: &'t DeTable<'t>, options: Options, lints: bool) -> Formula {
    let document = document::read(cx, root, options);
    let names = Names {
        cx,
        drafts: &document.drafts,
        ids: ids_of(&document.drafts),
        vars: &document.vars,
        secrets: &document.secrets,
        env: &document.env,
        outputs: Outputs::new(cx, &document.drafts),
    };
    check_defaults(&names);
    let uses: Vec<Vec<Use>> = (0..document.drafts.len()).map(|step| names.check_step(step)).collect();
    for draft in &document.drafts {
        if cx.is_hopeless() {
            break;
        }
        check_kind(&names, draft);
        check_secrets(&names, draft);
        params::check(&names, draft);
    }
    let (needs, graph) = order::settle(&names, &uses);
    let formula = formula(cx, &document, &needs);
    if lints && cx.is_sound() {
        let locate = |step: usize, pointer: &str| subject::locate(&names, step, pointer);
        for diagnostic in lint::run(&subject::make(&names, &formula, &uses, graph, &locate)) {
            cx.report(diagnostic);
        }
    }
    formula
}

fn ids_of<'t>(drafts: &'t [step::Draft<'t>]) -> HashMap<&'t str, usize> {
    // Of two steps with one id the first is meant.
    let named = drafts.iter().enumerate().rev().filter(|(_, draft)| !draft.id.text.is_empty());
    named.map(|(at, draft)| (draft.id.text, at)).collect()
}

fn check_kind(names: &Names<'_>, draft: &step::Draft<'_>) {
    let Some(uses) = &draft.uses else { return };
    if names.cx.kinds.version(uses.text).is_some() {
        return;
    }
    let problem = Diagnostic::error(codes::UNKNOWN_KIND, format!("unknown kind `{}`", uses.text)).at(uses.range.clone(), "no such kind");
    let known = names.cx.kinds.names();
    names.cx.report(match names.cx.nearest(uses.text, known) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`formula steps` lists the kinds"),
    });
}

fn check_secrets(names: &Names<'_>, draft: &step::Draft<'_>) {
    for secret in draft.secrets.iter().filter(|secret| !secret.text.contains("{{")) {
        if !names.secrets.contains_key(secret.text) {
            let problem = Diagnostic::error(codes::UNKNOWN_SECRET, format!("secret `{}` is not declared", secret.text));
            let problem = problem.at(secret.range.clone(), "no such secret");
            names.cx.report(match names.cx.nearest(secret.text, names.secrets.keys().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("declare it: [secrets.{0}], then from = [\"env:{0}\"]", secret.text)),
            });
        }
    }
}

/// Templates in defaults, names of secrets in defaults, and defaults that go round in a circle.
fn check_defaults(names: &Names<'_>) {
    let mut graph = crate::graph::Graph::new(names.vars.len());
    for (at, (name, var)) in names.vars.iter().enumerate() {
        let Some(node) = &var.default else { continue };
        vars::texts_of(node, &mut |text| {
            for used in names.references(text).map(|references| names.check_default(&references)).unwrap_or_default() {
                graph.add(used, at);
            }
            let is_name = var.decl.ty == crate::model::VarType::SecretName && !text.text.is_empty() && !text.text.contains("{{");
            if is_name && !names.secrets.contains_key(text.text) {
                let message = format!("default of var `{name}`: secret `{}` is not declared", text.text);
                let problem = Diagnostic::error(codes::UNKNOWN_SECRET, message).at(text.range.clone(), "no such secret");
                names.cx.report(match names.cx.nearest(text.text, names.secrets.keys().map(String::as_str)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        });
    }
    for cycle in graph.order().err().into_iter().flatten() {
        let mut path: Vec<String> =
            cycle.iter().map(|at| format!("`{}`", names.vars.get_index(*at).map_or("", |(name, _)| name))).collect();
        path.push(path[0].clone());
        let range = names.vars[cycle[0]].default.as_ref().map_or(0..0, |node| node.range.clone());
        let message = format!("defaults refer to each other: {}", path.join(" → "));
        names.cx.report(Diagnostic::error(codes::DEFAULT_CYCLE, message).at(range, "").help("give one of them a fixed default"));
    }
}

fn formula(cx: &Cx<'_>, document: &Document<'_>, needs: &[Vec<usize>]) -> Formula {
    let step = |at: usize| -> StepDef {
        let names = needs[at].iter().map(|before| document.drafts[*before].def.id.clone()).collect();
        StepDef { needs: names, ..document.drafts[at].def.clone() }
    };
    let part = |finally: bool| {
        let chosen = document.drafts.iter().enumerate().filter(move |(_, draft)| draft.finally == finally);
        chosen.map(|(at, _)| step(at)).collect::<Vec<_>>()
    };
    Formula {
        name: document.name.clone(),
        description: document.description.clone(),
        version: document.version,
        on_failure: document.on_failure,
        max_parallel: document.max_parallel,
        lock: document.lock.clone(),
        vars: document.vars.iter().map(|(name, var)| (name.clone(), var.decl.clone())).collect::<IndexMap<_, _>>(),
        secrets: document.secrets.clone(),
        env: document.env.clone(),
        steps: part(false),
        finally: part(true),
        path: cx.source.path.clone(),
        source: cx.source.text.clone(),
        digest: digest(&cx.source.text),
    }
}

/// `sha256:…` of a text's bytes.
fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().fold("sha256:".to_owned(), |mut digest, byte| {
        let _ = write!(digest, "{byte:02x}");
        digest
    })
}
