//! The `with` table of a step against the schema of its kind: every problem with its place.
//!
//! Walks the part of JSON Schema that schemars writes. A template stands for what it refers to, where that is known.

use std::ops::Range;

use regex::Regex;
use serde_json::Value;
use toml::de::{DeArray, DeTable, DeValue};

use super::cx::{Cx, Entry, Node, entries};
use super::limit::HOPELESS;
use super::names::Names;
use super::schema::{branches, describe, in_words, resolve, types, values};
use super::step::{Draft, OF_A_KIND};
use crate::diagnostic::{Diagnostic, codes};
use crate::template;

/// Checks the params of one step.
pub(super) fn check(names: &Names<'_>, draft: &Draft<'_>) {
    let cx = names.cx;
    let Some(kind) = draft.def.uses.as_deref() else { return };
    let Some(schema) = cx.kinds.params_schema(kind) else { return };
    if draft.with_is_broken {
        return;
    }
    let check = Check { names, root: schema, kind };
    let place = draft.uses.as_ref().map_or(0..0, |uses| uses.range.clone());
    let problems = match &draft.with {
        Some(node) => check.value(schema, node, ""),
        None => check.missing(schema, &[], &[], &place, ""),
    };
    let clean = problems.is_empty();
    for problem in problems {
        cx.report(problem);
    }
    if clean && !template::holds_template(&draft.def.with) {
        for message in cx.kinds.check(kind, &draft.def.with) {
            let range = named(draft.with.as_ref(), &message).unwrap_or_else(|| place.clone());
            cx.report(Diagnostic::error(codes::PARAM_REFUSED, format!("`{kind}`: {message}")).at(range, ""));
        }
    }
}

/// The place of the first param that the message names in backticks; else of the whole table.
fn named(with: Option<&Node<'_>>, message: &str) -> Option<Range<usize>> {
    let with = with?;
    let DeValue::Table(table) = with.value else { return None };
    let entries = entries(table);
    let mut words = message.split('`').skip(1).step_by(2);
    let found = words.find_map(|word| entries.iter().find(|entry| entry.key == word).map(|entry| entry.key_range.clone()));
    // A table under a header of its own has the header's place; an inline one its braces.
    Some(found.unwrap_or_else(|| with.range.clone()))
}

struct Check<'a> {
    names: &'a Names<'a>,
    /// What `$ref` refers to.
    root: &'a Value,
    kind: &'a str,
}

impl Check<'_> {
    fn cx(&self) -> &Cx<'_> {
        self.names.cx
    }

    fn value(&self, schema: &Value, node: &Node<'_>, path: &str) -> Vec<Diagnostic> {
        let schema = resolve(self.root, schema);
        if schema.is_boolean() {
            return Vec::new();
        }
        if let DeValue::String(text) = node.value
            && template::is_template(text)
        {
            return self.template(schema, text, node, path).into_iter().collect();
        }
        let branches = branches(self.root, schema);
        let own_properties = schema["properties"].is_object();
        if !branches.is_empty() && !own_properties {
            return self.alternatives(schema, &branches, node, path);
        }
        let fixed = values(schema);
        if !fixed.is_empty() {
            return if fixed.iter().any(|value| same(value, node)) { Vec::new() } else { vec![self.not_one_of(&fixed, node, path)] };
        }
        let wanted = types(self.root, schema);
        if !wanted.is_empty() && !wanted.iter().any(|name| is_a(node, name)) {
            return vec![self.wrong(schema, node, path)];
        }
        match node.value {
            DeValue::Table(table) => self.table(schema, &branches, table, node, path),
            DeValue::Array(array) => self.list(schema, array, node, path),
            _ => limits(schema, node, path).into_iter().collect(),
        }
    }

    fn wrong(&self, schema: &Value, node: &Node<'_>, path: &str) -> Diagnostic {
        let wanted = describe(self.root, schema);
        let problem = Diagnostic::error(codes::PARAM_TYPE, format!("{} must be {wanted}", self.name(path)));
        let problem = problem.at(node.range.clone(), format!("this is {}", node.type_name()));
        let written = self.cx().text().get(node.range.clone()).unwrap_or_default();
        match node.value {
            DeValue::Integer(_) if schema["format"] == "duration" => problem.help(format!("write it with a unit, such as \"{written}s\"")),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) if wanted == "a text" => {
                problem.help(format!("write it as \"{written}\""))
            }
            DeValue::String(text) if wanted == "a list of texts" && text.len() < 60 => {
                problem.help(format!("write it as [{}]", super::cx::quoted(text)))
            }
            DeValue::String(text) if matches!((wanted.as_str(), text.as_ref()), ("true or false", "true" | "false")) => {
                problem.help("write it without quotes")
            }
            DeValue::String(text) if wanted == "a whole number" && text.parse::<i64>().is_ok() => problem.help("write it without quotes"),
            _ => problem,
        }
    }

    fn name(&self, path: &str) -> String {
        if path.is_empty() { format!("`with` of `{}`", self.kind) } else { format!("`{path}`") }
    }

    fn not_one_of(&self, fixed: &[Value], node: &Node<'_>, path: &str) -> Diagnostic {
        let wanted = describe(self.root, &serde_json::json!({ "enum": fixed }));
        let mut problem = Diagnostic::error(codes::PARAM_TYPE, format!("{} must be {wanted}", self.name(path))).at(node.range.clone(), "");
        if let DeValue::String(text) = node.value
            && let Some(near) = self.cx().nearest(text, fixed.iter().filter_map(Value::as_str))
        {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        problem
    }

    /// A text with a template has the type of what it refers to, if it is nothing but one reference; else it is a text.
    fn template(&self, schema: &Value, text: &str, node: &Node<'_>, path: &str) -> Option<Diagnostic> {
        let wanted = types(self.root, schema);
        let whole = template::whole(text);
        let found = match &whole {
            Some(reference) => self.names.json_type(reference)?,
            None if template::is_whole(text) => return None,
            None => "string".to_owned(),
        };
        let fits = wanted.is_empty() || wanted.contains(&found) || (found == "integer" && wanted.iter().any(|name| name == "number"));
        // A template that cannot be read is reported by itself.
        if fits || template::references(text).is_err() {
            return None;
        }
        let problem = Diagnostic::error(codes::PARAM_TYPE, format!("{} must be {}", self.name(path), describe(self.root, schema)));
        let Some(reference) = whole else {
            let problem = problem.at(node.range.clone(), "text around a reference makes it a text");
            let list = wanted == ["array"] && text.len() < 80;
            return Some(if list { problem.help(format!("write it as [{}]", super::cx::quoted(text))) } else { problem });
        };
        let name = reference.dotted();
        let problem = problem.at(node.range.clone(), format!("`{name}` is {}", in_words(&found)));
        Some(match (found.as_str(), wanted.as_slice()) {
            ("integer" | "boolean" | "number", [only]) if only == "string" => {
                problem.help(format!("write \"{{{{ json {name} }}}}\" for its text"))
            }
            ("string", [only]) if only == "array" => problem.help(format!("write [\"{{{{ {name} }}}}\"]")),
            _ => problem,
        })
    }

    fn alternatives(&self, schema: &Value, branches: &[&Value], node: &Node<'_>, path: &str) -> Vec<Diagnostic> {
        let mut tried: Vec<(&Value, Vec<Diagnostic>)> = Vec::new();
        for branch in branches {
            let problems = self.value(branch, node, path);
            if problems.is_empty() {
                return problems;
            }
            tried.push((branch, problems));
        }
        tried.retain(|(branch, _)| {
            let wanted = types(self.root, branch);
            wanted.is_empty() || wanted.iter().any(|name| is_a(node, name))
        });
        let fixed: Vec<Value> = tried.iter().flat_map(|(branch, _)| values(branch)).collect();
        if !fixed.is_empty() && fixed.len() >= tried.len() {
            return vec![self.not_one_of(&fixed, node, path)];
        }
        if let DeValue::Table(table) = node.value
            && let Some(problem) = self.untagged(branches, table, node, path)
        {
            return vec![problem];
        }
        if let DeValue::Table(table) = node.value
            && let Some(at) = tried.iter().position(|(branch, _)| self.is_meant(branch, table))
        {
            return tried.swap_remove(at).1;
        }
        if tried.len() > 1
            && let DeValue::Table(table) = node.value
            && let Some(problem) = self.which_table(&tried, table, node, path)
        {
            return vec![problem];
        }
        // The branch with the least to say about it is most likely the one that was meant.
        match tried.into_iter().min_by_key(|(_, problems)| problems.len()) {
            Some((_, problems)) => problems,
            None => vec![self.wrong(schema, node, path)],
        }
    }

    /// The fixed value by which a branch is told from the others, and its key.
    fn tag<'s>(&self, branch: &'s Value) -> Option<(&'s str, Value)> {
        let properties = branch["properties"].as_object()?;
        properties.iter().find_map(|(name, schema)| match values(resolve(self.root, schema)).as_slice() {
            [only] => Some((name.as_str(), only.clone())),
            _ => None,
        })
    }

    /// All branches are told apart by one key, and the table has none of its values.
    fn untagged(&self, branches: &[&Value], table: &DeTable<'_>, node: &Node<'_>, path: &str) -> Option<Diagnostic> {
        let tags: Vec<(&str, Value)> = branches.iter().map(|branch| self.tag(branch)).collect::<Option<_>>()?;
        let (key, _) = tags.first()?;
        if tags.len() < 2 || tags.iter().any(|(other, _)| other != key) {
            return None;
        }
        let fixed: Vec<Value> = tags.iter().map(|(_, value)| value.clone()).collect();
        let Some(given) = table.get(*key).map(Node::new) else {
            let problem = Diagnostic::error(codes::MISSING_PARAM, format!("{} needs `{key}`", self.name(path))).at(node.range.clone(), "");
            let wanted = describe(self.root, &serde_json::json!({ "enum": fixed }));
            return Some(problem.help(format!("`{key}` is {wanted}")));
        };
        let known = fixed.iter().any(|value| same(value, &given));
        (!known).then(|| self.not_one_of(&fixed, &given, &format!("{path}.{key}")))
    }

    /// Whether a table names the variant of this branch: by a fixed value, or by the one key that it demands.
    fn is_meant(&self, branch: &Value, table: &DeTable<'_>) -> bool {
        if let Some((name, fixed)) = self.tag(branch) {
            return table.get(name).is_some_and(|value| same(&fixed, &Node::new(value)));
        }
        match branch["required"].as_array().map(Vec::as_slice) {
            Some([Value::String(only)]) => table.contains_key(only.as_str()),
            _ => false,
        }
    }

    /// None of several kinds of table is named: says which there are.
    fn which_table(&self, tried: &[(&Value, Vec<Diagnostic>)], table: &DeTable<'_>, node: &Node<'_>, path: &str) -> Option<Diagnostic> {
        let keys: Vec<&str> = tried
            .iter()
            .filter_map(|(branch, _)| match branch["required"].as_array().map(Vec::as_slice) {
                Some([Value::String(only)]) => Some(only.as_str()),
                _ => None,
            })
            .collect();
        if keys.len() < tried.len() {
            return None;
        }
        if let Some((entry, near)) =
            entries(table).iter().find_map(|entry| Some((entry.clone(), self.cx().nearest(entry.key, keys.iter().copied())?)))
        {
            let problem = Diagnostic::error(codes::UNKNOWN_PARAM, format!("unknown key `{}` in {}", entry.key, self.name(path)));
            return Some(problem.at(entry.key_range, "no such key").help(format!("did you mean `{near}`?")));
        }
        let list = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let problem = Diagnostic::error(codes::MISSING_PARAM, format!("{} must have one of {list}", self.name(path)));
        Some(problem.at(node.range.clone(), "has none of them"))
    }

    fn table(&self, schema: &Value, branches: &[&Value], table: &DeTable<'_>, node: &Node<'_>, path: &str) -> Vec<Diagnostic> {
        let properties = schema["properties"].as_object();
        let mut problems = Vec::new();
        let mut meant = Vec::new();
        let given = entries(table);
        for entry in &given {
            if problems.len() >= HOPELESS {
                break;
            }
            let inner = if path.is_empty() { entry.key.to_owned() } else { format!("{path}.{}", entry.key) };
            let known = properties.and_then(|properties| properties.get(entry.key));
            match (known, &schema["additionalProperties"]) {
                (Some(schema), _) => problems.extend(self.value(schema, &entry.node, &inner)),
                (None, Value::Bool(false)) => {
                    let (problem, near) = self.unknown(schema, branches, entry, path);
                    problems.push(problem);
                    meant.extend(near);
                }
                (None, other) if other.is_object() => problems.extend(self.value(other, &entry.node, &inner)),
                (None, _) => {}
            }
        }
        let keys: Vec<&str> = given.iter().map(|entry| entry.key).collect();
        problems.extend(self.missing(schema, &keys, &meant, &node.range, path));
        problems
    }

    /// Says that there is no such key; gives the one that was probably meant.
    fn unknown<'s>(&self, schema: &'s Value, branches: &[&'s Value], entry: &Entry<'_>, path: &str) -> (Diagnostic, Option<&'s str>) {
        let known: Vec<&'s str> = std::iter::once(schema)
            .chain(branches.iter().copied())
            .filter_map(|schema| schema["properties"].as_object())
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        let whose = if path.is_empty() { format!("kind `{}`", self.kind) } else { format!("`{path}`") };
        let message =
            if path.is_empty() { format!("{whose} has no param `{}`", entry.key) } else { format!("{whose} has no key `{}`", entry.key) };
        let near = self.cx().nearest(entry.key, known.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if path.is_empty() && OF_A_KIND.contains(&entry.key) => {
                format!("`{}` is a key of the step: write it beside `with`, not in it", entry.key)
            }
            None if known.is_empty() => format!("{whose} takes none"),
            None => format!("{whose} takes {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        (Diagnostic::error(codes::UNKNOWN_PARAM, message).at(entry.key_range.clone(), "").help(help), near)
    }

    /// Keys that the schema demands and that are neither given nor meant by a misspelt one.
    fn missing(&self, schema: &Value, given: &[&str], meant: &[&str], place: &Range<usize>, path: &str) -> Vec<Diagnostic> {
        let schema = resolve(self.root, schema);
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let absent: Vec<&str> = required.filter(|name| !given.contains(name) && !meant.contains(name)).collect();
        let whose = if path.is_empty() { format!("kind `{}`", self.kind) } else { format!("`{path}`") };
        absent
            .into_iter()
            .map(|name| {
                let wanted = resolve(self.root, &schema["properties"][name]);
                let about = wanted["description"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
                let takes = describe(self.root, wanted);
                let problem = Diagnostic::error(codes::MISSING_PARAM, format!("{whose} needs `{name}`")).at(place.clone(), "");
                problem.help(if about.is_empty() { format!("`{name}` is {takes}") } else { format!("`{name}` is {takes}: {about}") })
            })
            .collect()
    }

    fn list(&self, schema: &Value, array: &DeArray<'_>, node: &Node<'_>, path: &str) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if schema["items"].is_object() {
            for (at, item) in Node::items(array).enumerate() {
                if problems.len() >= HOPELESS {
                    break;
                }
                problems.extend(self.value(&schema["items"], &item, &format!("{path}[{at}]")));
            }
        }
        let least = schema["minItems"].as_u64().unwrap_or(0);
        if (array.len() as u64) < least {
            let problem = Diagnostic::error(
                codes::PARAM_TYPE,
                format!("{} must have at least {least} {}", self.name(path), if least == 1 { "item" } else { "items" }),
            );
            problems.push(problem.at(node.range.clone(), ""));
        }
        problems
    }
}

/// Limits of numbers and texts.
fn limits(schema: &Value, node: &Node<'_>, path: &str) -> Option<Diagnostic> {
    let refuse = |what: String| Some(Diagnostic::error(codes::PARAM_TYPE, format!("`{path}` {what}")).at(node.range.clone(), ""));
    match node.value {
        DeValue::Integer(_) => {
            let value = node.integer()?;
            let least = schema["minimum"].as_f64();
            let most = schema["maximum"].as_f64().or(match schema["format"].as_str() {
                Some("uint8") => Some(f64::from(u8::MAX)),
                Some("uint16") => Some(f64::from(u16::MAX)),
                Some("uint32") => Some(f64::from(u32::MAX)),
                Some("int32") => Some(f64::from(i32::MAX)),
                _ => None,
            });
            match (least, most) {
                (Some(least), _) if (value as f64) < least => refuse(format!("must be at least {least}")),
                (_, Some(most)) if (value as f64) > most => refuse(format!("must be at most {most}")),
                _ => None,
            }
        }
        DeValue::String(text) => {
            if let Some(pattern) = schema["pattern"].as_str()
                && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
            {
                return refuse(format!("must match `{pattern}`"));
            }
            // Kinds read a few more spellings than the file's own keys do.
            if schema["format"] == "duration"
                && text.trim().parse::<jiff::SignedDuration>().is_err()
                && let Err(reason) = super::duration::parse(text)
            {
                return refuse(format!("must be a duration: {reason}"));
            }
            if schema["minLength"].as_u64().is_some_and(|least| (text.chars().count() as u64) < least) {
                return refuse("must not be empty".to_owned());
            }
            None
        }
        _ => None,
    }
}

fn is_a(node: &Node<'_>, name: &str) -> bool {
    match node.value {
        DeValue::String(_) | DeValue::Datetime(_) => name == "string",
        DeValue::Integer(_) => matches!(name, "integer" | "number"),
        DeValue::Float(_) => name == "number",
        DeValue::Boolean(_) => name == "boolean",
        DeValue::Array(_) => name == "array",
        DeValue::Table(_) => name == "object",
    }
}

fn same(value: &Value, node: &Node<'_>) -> bool {
    match node.value {
        DeValue::String(text) => value.as_str() == Some(text),
        DeValue::Boolean(flag) => value.as_bool() == Some(*flag),
        DeValue::Integer(_) => value.as_i64() == node.integer(),
        _ => false,
    }
}
