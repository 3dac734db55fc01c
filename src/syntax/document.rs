//! The file as a whole: its top-level keys and the lists of steps, as written.

use std::collections::HashMap;

use indexmap::IndexMap;
use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Node};
use super::step::{self, Draft};
use super::table::Table;
use super::vars::{self, Var};
use super::{Options, secrets};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{OnFailure, SecretDecl};

/// Steps of one file, and of one run.
pub const MOST_STEPS: usize = 100_000;

pub(super) const KEYS: [&str; 20] = [
    "name",
    "description",
    "version",
    "on_failure",
    "max_parallel",
    "lock",
    "vars",
    "secrets",
    "env",
    "steps",
    "finally",
    "test",
    "model",
    "tools",
    "context",
    "allowed_tools",
    "disallowed_commands",
    "stack_script",
    "timeout_minutes",
    "project",
];

/// Steps that may run at once where the file does not say.
const MAX_PARALLEL: u32 = 4;

/// Everything that stands in the file.
pub(super) struct Document<'t> {
    pub name: String,
    pub description: String,
    pub version: u32,
    pub on_failure: OnFailure,
    pub max_parallel: u32,
    pub lock: String,
    pub vars: IndexMap<String, Var<'t>>,
    pub secrets: IndexMap<String, SecretDecl>,
    pub env: IndexMap<String, Option<String>>,
    /// Steps, then those of `[[finally]]`.
    pub drafts: Vec<Draft<'t>>,
}

/// Reads all of it.
pub(super) fn read<'t>(cx: &Cx<'_>, root: &'t DeTable<'t>, options: Options) -> Document<'t> {
    let table = Table::new(cx, root, "a formula", 0..0, &KEYS);
    prose(cx, &table);
    let mut drafts = Vec::new();
    if table.get("steps").is_none() {
        table.missing("steps", "[[steps]]");
    }
    read_steps(cx, &table, "steps", &mut drafts);
    read_steps(cx, &table, "finally", &mut drafts);
    duplicates(cx, &drafts);
    Document {
        name: read_name(cx, &table, options),
        description: table.text("description").map(|text| text.text.to_owned()).unwrap_or_default(),
        version: read_version(cx, &table),
        on_failure: read_on_failure(cx, &table),
        max_parallel: table.count("max_parallel", 1).unwrap_or(MAX_PARALLEL),
        lock: read_lock(cx, &table),
        vars: table.table("vars").map(|(inner, _)| vars::read(cx, inner)).unwrap_or_default(),
        secrets: table.table("secrets").map(|(inner, _)| secrets::read(cx, inner)).unwrap_or_default(),
        env: table.table("env").map(|(inner, _)| secrets::read_env(cx, inner)).unwrap_or_default(),
        drafts,
    }
}

/// Keys of the prose dialect, and the table of rehearsals: kept as they are, nothing here acts on them.
fn prose(cx: &Cx<'_>, table: &Table<'_, '_>) {
    for key in ["model", "stack_script"] {
        table.text(key);
    }
    for key in ["tools", "allowed_tools", "disallowed_commands"] {
        table.texts(key);
    }
    table.count("timeout_minutes", 0);
    // What `formula test` reads of it is its own affair.
    for key in ["context", "project", "test"] {
        if let Some(entry) = table.get(key)
            && !matches!(entry.node.value, DeValue::Table(_))
        {
            cx.wrong_type(&entry.node, key, "a table");
        }
    }
}

fn read_name(cx: &Cx<'_>, table: &Table<'_, '_>, options: Options) -> String {
    let stem = cx.source.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(name) = table.required_text("name", &format!("name = {}", super::cx::quoted(&stem))) else { return stem };
    if !is_name(name.text) {
        let problem = Diagnostic::error(codes::BAD_NAME, format!("`{}` is not a name that a formula may have", name.text));
        let help = "lower-case letters, digits, `.`, `-` and `_`, at most 64, beginning with a letter or digit";
        cx.report(problem.at(name.range, "").help(help));
    } else if name.text != stem && !options.any_name {
        let file = cx.source.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let problem = Diagnostic::error(codes::NAME_NOT_STEM, format!("the formula is named `{}`, its file `{file}`", name.text));
        let problem = problem.at(name.range, "must equal the file's name without `.toml`");
        cx.report(if is_name(&stem) {
            problem.help(format!("write name = \"{stem}\", or rename the file to {}.toml", name.text))
        } else {
            problem.help(format!("rename the file to {}.toml", name.text))
        });
    }
    name.text.to_owned()
}

fn is_name(name: &str) -> bool {
    step::is_id(&name.replace('.', "-")) && !name.starts_with('.')
}

fn read_version(cx: &Cx<'_>, table: &Table<'_, '_>) -> u32 {
    let Some(entry) = table.get("version") else { return 1 };
    if let DeValue::Integer(_) = entry.node.value {
        return table.count("version", 1).unwrap_or(1);
    }
    let message = "`version` is the revision of this formula, a whole number";
    let problem =
        Diagnostic::error(codes::BAD_VERSION, message).at(entry.node.range.clone(), format!("this is {}", entry.node.type_name()));
    cx.report(problem.help("write `version = 1`; the version to release is an input: [vars.version], then `type = \"version\"`"));
    1
}

fn read_on_failure(cx: &Cx<'_>, table: &Table<'_, '_>) -> OnFailure {
    let Some(text) = table.text("on_failure") else { return OnFailure::default() };
    match text.text {
        "hold" => OnFailure::Hold,
        "rollback" => OnFailure::Rollback,
        other => {
            let problem = Diagnostic::error(codes::BAD_VALUE, format!("`on_failure` cannot be `{other}`")).at(text.range, "");
            cx.report(problem.help("`hold` keeps the run for a person, `rollback` takes back what it made"));
            OnFailure::default()
        }
    }
}

fn read_lock(cx: &Cx<'_>, table: &Table<'_, '_>) -> String {
    let Some(text) = table.text("lock") else { return "workdir".to_owned() };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | ':');
    if text.text.is_empty() || text.text.len() > 128 || !text.text.chars().all(plain) {
        let problem = Diagnostic::error(codes::BAD_VALUE, "`lock` is not a name that a lock may have").at(text.range, "");
        cx.report(problem.help("letters, digits, `-`, `_`, `.`, `/` and `:`; `workdir` for the working directory"));
    }
    text.text.to_owned()
}

fn read_steps<'t>(cx: &Cx<'_>, table: &Table<'t, '_>, key: &str, drafts: &mut Vec<Draft<'t>>) {
    let Some(entry) = table.get(key) else { return };
    let DeValue::Array(array) = entry.node.value else {
        let problem = Diagnostic::error(codes::WRONG_TYPE, format!("`{key}` must be a list of tables"));
        let problem = problem.at(entry.key_range, format!("this is {}", entry.node.type_name()));
        cx.report(problem.help(format!("a step begins with two brackets: [[{key}]]")));
        return;
    };
    if array.is_empty() && key == "steps" {
        table.missing(key, "[[steps]]");
    }
    for item in Node::items(array).take_while(|_| !cx.is_hopeless()) {
        if drafts.len() == MOST_STEPS {
            let problem = Diagnostic::error(codes::TOO_MANY_STEPS, format!("more than {MOST_STEPS} steps"));
            cx.report(problem.at(item.range, "one too many").help("split the formula, or let one step work on many things"));
            return;
        }
        match item.value {
            DeValue::Table(inner) => drafts.push(step::read(cx, inner, item.range.clone(), key == "finally")),
            _ => cx.wrong_type(&item, &format!("{key}[]"), "a table"),
        }
    }
}

fn duplicates(cx: &Cx<'_>, drafts: &[Draft<'_>]) {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(drafts.len());
    for (at, draft) in drafts.iter().enumerate().filter(|(_, draft)| !draft.id.text.is_empty()) {
        if let Some(&before) = first.get(draft.id.text) {
            let (range, line) = (drafts[before].id.range.clone(), cx.line(drafts[before].id.range.start));
            let problem = Diagnostic::error(codes::DUPLICATE_ID, format!("two steps have the id `{}`", draft.id.text));
            let problem = problem.at(draft.id.range.clone(), "again").also(range, "first");
            cx.report(problem.help(format!("rename this one or the one on line {line}")));
        } else {
            first.insert(draft.id.text, at);
        }
    }
}
