//! One `[[steps]]` table: its keys, types and spellings. What its names refer to is settled once all steps are read.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::cx::{Cx, Node, Text, entries};
use super::secrets::check_name;
use super::table::{Table, text, texts};
use super::{duration, json};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{Retry, StepDef};

pub(super) const KEYS: [&str; 12] =
    ["id", "title", "description", "uses", "with", "env", "needs", "if", "foreach", "retry", "timeout", "secrets"];

/// Keys that mean nothing without `uses`.
pub(super) const OF_A_KIND: [&str; 7] = ["with", "env", "if", "foreach", "retry", "timeout", "secrets"];

/// A step that was read, with the places that the checks of names need.
pub(super) struct Draft<'t> {
    /// Everything but `needs`.
    pub def: StepDef,
    /// Part of `[[finally]]`.
    pub finally: bool,
    /// Its id; empty where it has none that can be used.
    pub id: Text<'t>,
    /// The kind.
    pub uses: Option<Text<'t>>,
    /// The `with` table.
    pub with: Option<Node<'t>>,
    /// Whether the `with` table is there but cannot be looked at.
    pub with_is_broken: bool,
    /// `needs` as written.
    pub needs: Option<Vec<Text<'t>>>,
    /// `secrets` as written.
    pub secrets: Vec<Text<'t>>,
    /// Every text that may hold a template.
    pub templates: Vec<Template<'t>>,
    /// Where the `foreach` key stands.
    pub foreach: Option<Range<usize>>,
}

/// A text that may hold a template.
pub(super) struct Template<'t> {
    /// The text.
    pub text: Text<'t>,
    /// Where it is used.
    pub place: Place,
}

/// Where a template is used; decides what it may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `with`, `env`, `if` or a gate's title.
    Step,
    /// `foreach`, expanded when planned.
    Foreach,
    /// An entry of `secrets`.
    Secrets,
}

/// Reads a step. `place` is its header.
pub(super) fn read<'t>(cx: &Cx<'_>, table: &'t DeTable<'t>, place: Range<usize>, finally: bool) -> Draft<'t> {
    let table = Table::new(cx, table, if finally { "a [[finally]] step" } else { "a step" }, place.clone(), &KEYS);
    let id = read_id(cx, &table);
    let uses = table.text("uses");
    let title = table.text("title");
    let mut templates = Vec::new();
    let mut secrets = Vec::new();
    let mut def = StepDef {
        id: id.text.to_owned(),
        title: title.as_ref().map(|text| text.text.to_owned()),
        description: table.text("description").map(|text| text.text.to_owned()),
        uses: uses.as_ref().map(|text| text.text.to_owned()),
        with: Value::Object(serde_json::Map::new()),
        env: BTreeMap::new(),
        needs: Vec::new(),
        condition: None,
        foreach: None,
        retry: Retry::default(),
        timeout_ms: None,
        secrets: Vec::new(),
        span: cx.patch.span(if id.text.is_empty() { &place } else { &id.range }),
    };
    let needs = table.texts("needs").map(|(list, _)| list);
    let mut with = None;
    let mut foreach = None;
    if table.get("uses").is_some() {
        with = read_with(cx, &table, &mut def, &mut templates);
        read_env(cx, &table, &mut def, &mut templates);
        read_condition(cx, &table, &mut def, &mut templates);
        foreach = read_foreach(cx, &table, &mut def, &mut templates);
        read_retry(cx, &table, &mut def);
        read_timeout(cx, &table, &mut def);
        if let Some((list, _)) = table.texts("secrets") {
            templates.extend(list.iter().map(|text| Template { text: text.clone(), place: Place::Secrets }));
            def.secrets = list.iter().map(|text| text.text.to_owned()).collect();
            secrets = list;
        }
        if let (Some(title), Some("approve" | "wait")) = (title, def.uses.as_deref()) {
            templates.push(Template { text: title, place: Place::Step });
        }
    } else {
        without_kind(cx, &table);
    }
    templates.retain(|template| template.text.text.contains("{{"));
    let with_is_broken = def.with.is_null() || (with.is_none() && table.get("with").is_some());
    Draft { def, finally, id, uses, with, with_is_broken, needs, secrets, templates, foreach }
}

fn read_id<'t>(cx: &Cx<'_>, table: &Table<'t, '_>) -> Text<'t> {
    let Some(id) = table.required_text("id", "id = \"build\"") else {
        return Text { text: "", range: table.place.clone() };
    };
    if is_id(id.text) {
        return id;
    }
    let shown = if id.text.is_empty() { "the empty text".to_owned() } else { format!("`{}`", id.text) };
    let problem = Diagnostic::error(codes::BAD_NAME, format!("{shown} is not an id that a step may have"));
    let help = "lower-case letters, digits, `-` and `_`, at most 64, beginning with a letter or digit";
    let proposal = proposed(id.text);
    let help = if is_id(&proposal) { format!("{help}: `{proposal}`") } else { help.to_owned() };
    cx.report(problem.at(id.range.clone(), "").help(help));
    Text { text: "", range: id.range }
}

/// `[a-z0-9][a-z0-9_-]{0,63}`.
pub(super) fn is_id(id: &str) -> bool {
    let first = id.bytes().next();
    first.is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

fn proposed(id: &str) -> String {
    let letters = id.trim().chars().map(|letter| letter.to_ascii_lowercase());
    letters.map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' }).collect()
}

fn without_kind(cx: &Cx<'_>, table: &Table<'_, '_>) {
    let present: Vec<_> = OF_A_KIND.into_iter().filter_map(|key| table.get(key)).collect();
    // `use = …` is reported as an unknown key with the right one named.
    let misspelt = ["use", "kind", "type", "using", "step"].into_iter().any(|key| table.get(key).is_some());
    if let (Some(first), false) = (present.first(), misspelt) {
        let names: Vec<String> = present.iter().map(|entry| format!("`{}`", entry.key)).collect();
        let problem = Diagnostic::error(codes::PARAMS_WITHOUT_KIND, format!("a step with {} has no `uses`", names.join(", ")));
        let problem = problem.at(first.key_range.clone(), "means nothing without a kind");
        cx.report(problem.help("add `uses = \"…\"`; `formula steps` lists the kinds"));
    }
}

fn read_with<'t>(cx: &Cx<'_>, table: &Table<'t, '_>, def: &mut StepDef, templates: &mut Vec<Template<'t>>) -> Option<Node<'t>> {
    let (with, entry) = table.table("with")?;
    def.with = json::object(cx, with).map_or(Value::Null, Value::Object);
    for param in entries(with) {
        let is_code = match def.uses.as_deref() {
            Some("shell") => matches!(param.key, "script" | "probe" | "undo"),
            // The gate has its probe run by the same shell.
            Some("wait") => param.key == "probe",
            _ => false,
        };
        match param.node.value {
            DeValue::String(script) if is_code => refuse_template(cx, script, &param.node, param.key, def.uses.as_deref() == Some("wait")),
            _ => collect(&param.node, templates),
        }
    }
    Some(entry.node)
}

fn collect<'t>(node: &Node<'t>, templates: &mut Vec<Template<'t>>) {
    match node.value {
        DeValue::String(text) if text.contains("{{") => {
            templates.push(Template { text: Text { text, range: node.range.clone() }, place: Place::Step });
        }
        DeValue::Array(array) => Node::items(array).for_each(|item| collect(&item, templates)),
        DeValue::Table(table) => entries(table).iter().for_each(|entry| collect(&entry.node, templates)),
        _ => {}
    }
}

/// What a shell reads as code never holds values.
fn refuse_template(cx: &Cx<'_>, script: &str, node: &Node<'_>, key: &str, gate: bool) {
    let Some(at) = script.find("{{") else { return };
    let end = script[at..].find("}}").map_or(at + 2, |length| at + length + 2);
    let range = super::strings::locate(cx.text(), &node.range, &(at..end));
    let problem = Diagnostic::error(codes::SHELL_TEMPLATE, format!("a text for `{key}` is code and holds no templates"));
    let inner = script[at + 2..end].trim_end_matches('}').trim();
    let help = if gate {
        format!("write it as a list, which no shell reads: {key} = [\"PROGRAM\", \"{}\"]", &script[at..end])
    } else if let Some(name) = inner.strip_prefix("vars.").filter(|name| super::fits::is_env_name(name)) {
        let variable = name.to_ascii_uppercase();
        format!("hand the value over as `env = {{ {variable} = \"{{{{ {inner} }}}}\" }}` and write \"${variable}\" in the code")
    } else {
        "hand values over in `env`; code that needs literal braces goes into a file: with = { file = \"…\" }".to_owned()
    };
    cx.report(problem.at(range, "the shell would read the value as code").help(help));
}

fn read_env<'t>(cx: &Cx<'_>, table: &Table<'t, '_>, def: &mut StepDef, templates: &mut Vec<Template<'t>>) {
    let Some((env, _)) = table.table("env") else { return };
    for entry in entries(env).into_iter().take_while(|_| !cx.is_hopeless()) {
        check_name(cx, &entry, "an environment variable");
        let name = format!("env.{}", entry.key);
        if !matches!(entry.node.value, DeValue::Integer(_) | DeValue::Boolean(_) | DeValue::Float(_)) {
            if let Some(value) = text(cx, &entry.node, &name) {
                def.env.insert(entry.key.to_owned(), value.text.to_owned());
                templates.push(Template { text: value, place: Place::Step });
            }
            continue;
        }
        let problem = Diagnostic::error(codes::WRONG_TYPE, format!("`{name}` must be a text"));
        let written = &cx.text()[entry.node.range.clone()];
        cx.report(
            problem.at(entry.node.range.clone(), format!("this is {}", entry.node.type_name())).help(format!("write it as \"{written}\"")),
        );
    }
}

fn read_condition<'t>(cx: &Cx<'_>, table: &Table<'t, '_>, def: &mut StepDef, templates: &mut Vec<Template<'t>>) {
    let Some(entry) = table.get("if") else { return };
    if let DeValue::Boolean(value) = entry.node.value {
        def.condition = Some(value.to_string());
    } else if let Some(condition) = text(cx, &entry.node, "if") {
        judge_condition(cx, &condition);
        def.condition = Some(condition.text.to_owned());
        templates.push(Template { text: condition, place: Place::Step });
    }
}

/// A text that does not come from one template is never empty, and holds whatever it says.
fn judge_condition(cx: &Cx<'_>, condition: &Text<'_>) {
    let text = condition.text.trim();
    let settled = matches!(text, "" | "true" | "false" | "0" | "1");
    if settled || text.starts_with("{{") && text.ends_with("}}") {
        return;
    }
    let help = if text.contains("{{") {
        "put all of it into one template, such as `{{ and vars.a (not vars.b) }}`".to_owned()
    } else {
        format!("write `{{{{ {text} }}}}` if it is an expression; `true` and `false` stand for themselves")
    };
    let problem = Diagnostic::error(codes::WRONG_TYPE, "`if` always holds, for it is a text that is never empty");
    cx.report(problem.at(condition.range.clone(), "").help(help));
}

fn read_foreach<'t>(cx: &Cx<'_>, table: &Table<'t, '_>, def: &mut StepDef, templates: &mut Vec<Template<'t>>) -> Option<Range<usize>> {
    let entry = table.get("foreach")?;
    let refuse = |message: &str| {
        let problem = Diagnostic::error(codes::FOREACH, message).at(entry.node.range.clone(), "");
        cx.report(problem.help("write a list, or `foreach = \"{{ vars.NAME }}\"` with a var of the type `list`"));
    };
    match entry.node.value {
        DeValue::String(text) if !text.contains("{{") => refuse("`foreach` is a text, it must be a list"),
        DeValue::String(text) => {
            templates.push(Template { text: Text { text, range: entry.node.range.clone() }, place: Place::Foreach });
            def.foreach = Some(Value::from(text.as_ref()));
        }
        DeValue::Array(_) => {
            let list = texts(cx, &entry.node, "foreach").unwrap_or_default();
            def.foreach = Some(list.iter().map(|text| text.text).collect());
            templates.extend(list.into_iter().map(|text| Template { text, place: Place::Foreach }));
        }
        _ => refuse(&format!("`foreach` is {}, it must be a list", entry.node.type_name())),
    }
    Some(entry.key_range)
}

fn read_retry(cx: &Cx<'_>, table: &Table<'_, '_>, def: &mut StepDef) {
    let Some((inner, entry)) = table.table("retry") else { return };
    let retry = Table::new(cx, inner, "`retry`", entry.key_range, &["attempts", "wait"]);
    match retry.count("attempts", 1) {
        Some(attempts) => def.retry.attempts = attempts,
        None if retry.get("attempts").is_none() => retry.missing("attempts", "attempts = 3"),
        None => {}
    }
    if let Some(wait) = duration_text(cx, &retry, "wait", "2s..30s") {
        match duration::parse_range(wait.text) {
            Ok((min, max)) => {
                def.retry.min_ms = u64::try_from(min.as_millis()).unwrap_or(u64::MAX);
                def.retry.max_ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
            }
            Err(reason) => cx.report(Diagnostic::error(codes::BAD_DURATION, format!("`wait`: {reason}")).at(wait.range, "")),
        }
    }
}

fn read_timeout(cx: &Cx<'_>, table: &Table<'_, '_>, def: &mut StepDef) {
    let Some(timeout) = duration_text(cx, table, "timeout", "30m") else { return };
    match duration::parse(timeout.text) {
        Ok(limit) if limit.is_zero() => {
            let problem = Diagnostic::error(codes::BAD_DURATION, "`timeout` is no time at all").at(timeout.range, "");
            cx.report(problem.help("leave it out for no limit"));
        }
        Ok(limit) => def.timeout_ms = u64::try_from(limit.as_millis()).ok(),
        Err(reason) => cx.report(Diagnostic::error(codes::BAD_DURATION, format!("`timeout`: {reason}")).at(timeout.range, "")),
    }
}

/// A text, or a report that a number lacks its unit.
fn duration_text<'t>(cx: &Cx<'_>, table: &Table<'t, '_>, key: &str, example: &str) -> Option<Text<'t>> {
    let entry = table.get(key)?;
    if let DeValue::Integer(_) | DeValue::Float(_) = entry.node.value {
        let problem = Diagnostic::error(codes::BAD_DURATION, format!("`{key}` is a number without a unit"));
        cx.report(problem.at(entry.node.range, "of what?").help(format!("write a text with a unit: {key} = \"{example}\"")));
        return None;
    }
    text(cx, &entry.node, key)
}
