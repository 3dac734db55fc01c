//! The text to add where a test file is missing or lacks something.

use std::fmt::Write as _;

use serde_json::Value;

use crate::model::{Formula, PlanStep, VarType};

/// What a `shell` step does, to be filled in.
pub(super) fn stub(step: &PlanStep) -> String {
    let declared = step.with.get("outputs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let id = step.id.split('[').next().unwrap_or(&step.id);
    of(id, &declared.collect::<Vec<_>>(), step.with.get("read_only").and_then(Value::as_bool).unwrap_or(false))
}

fn of(id: &str, outputs: &[&str], read_only: bool) -> String {
    let mut text = format!("[shell.{}]\n", key(id));
    if !outputs.is_empty() {
        let outputs: Vec<String> = outputs.iter().map(|name| format!("{} = \"…\"", key(name))).collect();
        let _ = writeln!(text, "outputs = {{ {} }}", outputs.join(", "));
    }
    if !read_only {
        let _ = writeln!(text, "writes  = {{ \"some/file\" = \"what it leaves there\" }}");
    } else if outputs.is_empty() {
        let _ = writeln!(text, "stdout = \"what it prints\"");
    }
    text
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if bare { name.to_owned() } else { toml::Value::from(name).to_string() }
}

/// A whole test file for a formula: what must be said of it, with values to be replaced.
pub fn skeleton(formula: &Formula) -> String {
    let mut text = format!("# What `formula test {}` rehearses; see docs/guide/test-files.md.\n", formula.name);
    let required: Vec<_> = formula.vars.iter().filter(|(_, var)| var.required).collect();
    if !required.is_empty() {
        text.push_str("\n[vars]\n");
        for (name, var) in required {
            let _ = writeln!(text, "{} = {}", key(name), sample(var.ty, &var.choices));
        }
    }
    text.push_str("\n# The world that it finds: files, git, images, registries, http, …\n[world.files]\n\"VERSION\" = \"0.1.0\\n\"\n");
    for step in formula.steps.iter().chain(&formula.finally).filter(|step| step.uses.as_deref() == Some("shell")) {
        let outputs = step.with.get("outputs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let read_only = step.with.get("read_only").and_then(Value::as_bool).unwrap_or(false);
        let _ = write!(text, "\n{}", of(&step.id, &outputs.collect::<Vec<_>>(), read_only));
    }
    text.push_str("\n[expect]\noutcome = \"done\"\n");
    text
}

fn sample(ty: VarType, choices: &[String]) -> String {
    match ty {
        VarType::Int => "3".into(),
        VarType::Bool => "true".into(),
        VarType::List => "[]".into(),
        VarType::Table => "{}".into(),
        VarType::Enum => toml::Value::from(choices.first().map_or("", String::as_str)).to_string(),
        VarType::Path => "\"some/file\"".into(),
        VarType::Duration => "\"90s\"".into(),
        VarType::Url => "\"https://forge.test/path\"".into(),
        VarType::HostPort => "\"forge.test:8080\"".into(),
        VarType::GitRef => "\"main\"".into(),
        VarType::ImageRef => "\"registry.test/name:tag\"".into(),
        VarType::Version => "\"v0.3.0\"".into(),
        VarType::SecretName | VarType::String => "\"text\"".into(),
    }
}
