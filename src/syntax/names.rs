//! What templates refer to: every reference is looked up before anything runs.

use std::collections::HashMap;
use std::ops::Range;

use indexmap::IndexMap;

use super::cx::{Cx, Text};
use super::outputs::{Found, Outputs};
use super::step::{Draft, Place, Template};
use super::strings::{Locator, locate};
use super::vars::Var;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{SecretDecl, VarType};
use crate::template::{self, Reference};

const RUN: [&str; 4] = ["id", "key", "formula", "started"];
const ROOTS: [&str; 5] = ["vars", "steps", "run", "item", "env"];

/// All names of a file.
pub(super) struct Names<'a> {
    pub cx: &'a Cx<'a>,
    pub drafts: &'a [Draft<'a>],
    /// Steps by id.
    pub ids: HashMap<&'a str, usize>,
    pub vars: &'a IndexMap<String, Var<'a>>,
    pub secrets: &'a IndexMap<String, SecretDecl>,
    pub env: &'a IndexMap<String, Option<String>>,
    pub outputs: Outputs<'a>,
}

/// A step that another one refers to.
#[derive(Debug)]
pub(super) struct Use {
    /// The step that is referred to.
    pub step: usize,
    /// Where.
    pub range: Range<usize>,
}

/// Where a reference stands.
struct Here<'h> {
    step: Option<usize>,
    place: Place,
    range: Range<usize>,
    reference: &'h Reference,
}

impl Names<'_> {
    /// Checks all templates of a step; gives the steps it refers to.
    pub(super) fn check_step(&self, step: usize) -> Vec<Use> {
        let mut uses = Vec::new();
        for template in &self.drafts[step].templates {
            if self.cx.is_hopeless() {
                break;
            }
            if let Some(references) = self.references(&template.text) {
                match template.place {
                    Place::Foreach => self.check_foreach(step, template),
                    Place::Secrets => self.check_secret_template(template),
                    Place::Step => {}
                }
                for (reference, range) in references {
                    uses.extend(self.check(&Here { step: Some(step), place: template.place, range, reference: &reference }));
                }
            }
        }
        uses
    }

    /// The references of a text with their places in the file; None, with a report, where it is no template.
    pub(super) fn references(&self, text: &Text<'_>) -> Option<Vec<(Reference, Range<usize>)>> {
        match template::references(text.text) {
            Ok(references) => {
                let mut place = Locator::new(self.cx.text(), &text.range);
                let placed = references.into_iter().map(|reference| {
                    let range = place.locate(&reference.range);
                    (reference, range)
                });
                Some(placed.collect())
            }
            Err(error) => {
                let place = |range: &Range<usize>| locate(self.cx.text(), &text.range, range);
                let range = error.range.as_ref().map_or_else(|| text.range.clone(), place);
                let is_helper = error.message.starts_with("unknown helper");
                let code = if is_helper { codes::UNKNOWN_HELPER } else { codes::BAD_TEMPLATE };
                let mut help = error.help.clone();
                if let Some(name) = error.message.split('`').nth(1).filter(|_| is_helper)
                    && let Some(near) = self.cx.nearest(name, template::HELPERS.iter().copied())
                {
                    help = Some(format!("did you mean `{near}`?"));
                }
                let mut problem = Diagnostic::error(code, error.message.clone()).at(range, "");
                problem.help = help;
                self.cx.report(problem);
                None
            }
        }
    }

    /// Checks the templates in the default of a var; gives the vars it refers to.
    pub(super) fn check_default(&self, references: &[(Reference, Range<usize>)]) -> Vec<usize> {
        let mut vars = Vec::new();
        for (reference, range) in references {
            match reference.path[0].as_str() {
                "vars" | "env" => {
                    self.check(&Here { step: None, place: Place::Step, range: range.clone(), reference });
                    vars.extend(reference.path.get(1).and_then(|name| self.vars.get_index_of(name)));
                }
                _ => {
                    let message = format!("the default of a var cannot use `{}`", reference.dotted());
                    let problem = Diagnostic::error(codes::OUT_OF_PLACE, message).at(range.clone(), "not known yet");
                    self.cx.report(problem.help("defaults are settled before the run begins; they may use `vars` and `env`"));
                }
            }
        }
        vars
    }

    /// The JSON type of what a reference stands for, where that is known.
    pub(super) fn json_type(&self, reference: &Reference) -> Option<String> {
        let path = &reference.path;
        let known = match (path[0].as_str(), path.get(1)) {
            ("vars", Some(name)) => match (self.vars.get(name)?.decl.ty, path.len()) {
                (VarType::Int, _) => "integer",
                (VarType::Bool, _) => "boolean",
                (VarType::List, 2) => "array",
                (VarType::Table, 2) => "object",
                _ => "string",
            },
            ("env", _) => "string",
            ("run", Some(name)) if name != "summary" => "string",
            ("steps", Some(id)) if path.get(2).is_some_and(|word| word == "outputs") => {
                let step = *self.ids.get(id.as_str())?;
                if self.drafts[step].def.foreach.is_some() {
                    return None;
                }
                return match self.outputs.find(step, &path[3..]) {
                    Found::There(ty) => ty,
                    _ => None,
                };
            }
            _ => return None,
        };
        Some(known.to_owned())
    }

    fn check(&self, here: &Here<'_>) -> Option<Use> {
        let path = &here.reference.path;
        if here.place == Place::Foreach && !matches!(path[0].as_str(), "vars" | "env") && ROOTS.contains(&path[0].as_str()) {
            let message = format!("`foreach` cannot use `{}`", here.reference.dotted());
            let problem = Diagnostic::error(codes::FOREACH, message).at(here.range.clone(), "not known when the run is planned");
            self.cx.report(problem.help("a step is expanded before anything runs: use a var of the type `list`"));
            return None;
        }
        match path[0].as_str() {
            "vars" => self.check_var(here),
            "steps" => return self.check_step_reference(here),
            "run" => self.check_run(here),
            "env" => self.check_env(here),
            "item" => {
                if here.step.is_none_or(|step| self.drafts[step].foreach.is_none()) {
                    let problem = Diagnostic::error(codes::OUT_OF_PLACE, "`item` exists only in a step with `foreach`");
                    self.cx.report(problem.at(here.range.clone(), "no `foreach` on this step").help("add `foreach = \"{{ vars.NAME }}\"`"));
                }
            }
            "secrets" | "secret" => self.secret(here, path.get(1).map_or("NAME", String::as_str)),
            _ => self.unknown_root(here),
        }
        None
    }

    fn unknown(&self, here: &Here<'_>, code: &'static str, message: String, label: &str, help: Option<String>) {
        let mut problem = Diagnostic::error(code, message).at(here.range.clone(), label);
        problem.help = help;
        self.cx.report(problem);
    }

    fn check_var(&self, here: &Here<'_>) {
        let path = &here.reference.path;
        let Some(name) = path.get(1) else {
            let help = "write {{ vars.NAME }}".to_owned();
            return self.unknown(here, codes::UNKNOWN_NAME, "`vars` alone is no value".to_owned(), "which one?", Some(help));
        };
        match self.vars.get(name) {
            Some(var) if path.len() > 2 && !matches!(var.decl.ty, VarType::List | VarType::Table) => {
                let message = format!("`vars.{name}` has no fields, so there is no `{}`", path[2]);
                self.unknown(here, codes::UNKNOWN_NAME, message, "", Some(format!("write {{{{ vars.{name} }}}}")));
            }
            Some(_) => {}
            None if self.secrets.contains_key(name) => self.secret(here, name),
            None => {
                let near = self.cx.nearest(name, self.vars.keys().map(String::as_str));
                let help = match near {
                    Some(near) => format!("did you mean `vars.{near}`?"),
                    None => format!("declare it under [vars.{name}]"),
                };
                self.unknown(here, codes::UNKNOWN_NAME, format!("var `{name}` is not declared"), "no such var", Some(help));
            }
        }
    }

    fn check_step_reference(&self, here: &Here<'_>) -> Option<Use> {
        let path = &here.reference.path;
        let Some(id) = path.get(1) else {
            let help = "write {{ steps.ID.outputs.NAME }}".to_owned();
            self.unknown(here, codes::UNKNOWN_STEP_IN_TEMPLATE, "`steps` alone is no value".to_owned(), "which one?", Some(help));
            return None;
        };
        let Some(&step) = self.ids.get(id.as_str()) else {
            let near = self.cx.nearest(id, self.drafts.iter().map(|draft| draft.id.text).filter(|id| !id.is_empty()));
            let help = near.map(|near| format!("did you mean `steps.{near}` (line {})?", self.line_of(near)));
            self.unknown(here, codes::UNKNOWN_STEP_IN_TEMPLATE, format!("unknown step `{id}` in a template"), "no step has this id", help);
            return None;
        };
        if path.get(2).is_none_or(|word| word != "outputs") {
            let name = path.get(2).map_or("NAME", String::as_str);
            let help = Some(format!("did you mean `steps.{id}.outputs.{name}`?"));
            self.unknown(here, codes::UNKNOWN_NAME, format!("a step gives only `outputs`: `{}`", here.reference.dotted()), "", help);
            return None;
        }
        if let Some(own) = here.step
            && self.drafts[step].finally
            && !self.drafts[own].finally
        {
            let message = format!("`{id}` is a step of [[finally]], it runs after this one");
            self.unknown(here, codes::OUT_OF_PLACE, message, "has no outputs yet", None);
            return None;
        }
        // A step under `foreach` gives a table per item; which items there are is known when the run is planned.
        let (below, each) =
            if self.drafts[step].foreach.is_some() { (path.get(4..).unwrap_or_default(), true) } else { (&path[3..], false) };
        if self.drafts[step].uses.is_none() {
            let message = format!("step `{id}` is prose, it gives nothing");
            self.unknown(here, codes::UNKNOWN_OUTPUT, message, "no such output", Some(format!("give `{id}` a kind: `uses = \"…\"`")));
        } else if let Found::Missing(name, known) = self.outputs.find(step, below) {
            self.missing_output(here, step, &name, &known);
        } else if let ([_, _, _, name], true) = (path.as_slice(), each)
            && matches!(self.outputs.find(step, std::slice::from_ref(name)), Found::There(_))
        {
            let message = format!("step `{id}` runs once per item, so it has no single output `{name}`");
            let help = format!("name the item: `steps.{id}.outputs.ITEM.{name}`");
            self.unknown(here, codes::UNKNOWN_OUTPUT, message, "whose?", Some(help));
        }
        Some(Use { step, range: here.range.clone() })
    }

    fn missing_output(&self, here: &Here<'_>, step: usize, name: &str, known: &[String]) {
        let draft = &self.drafts[step];
        let (id, kind) = (draft.id.text, draft.def.uses.as_deref().unwrap_or("prose"));
        let help = match self.cx.suggest(name, known.iter().map(String::as_str), &format!("`{id}` gives")) {
            Some(help) if help.starts_with("did you mean") => Some(help),
            _ if kind == "shell" && here.reference.path.len() == 4 => Some(format!(
                "a shell step declares its outputs: add `outputs = [\"{name}\"]` to the `with` of `{id}` (line {})",
                self.line_of(id)
            )),
            other => other,
        };
        self.unknown(here, codes::UNKNOWN_OUTPUT, format!("step `{id}` ({kind}) has no output `{name}`"), "no such output", help);
    }

    fn line_of(&self, id: &str) -> usize {
        self.ids.get(id).map_or(0, |step| self.cx.line(self.drafts[*step].id.range.start))
    }

    fn check_run(&self, here: &Here<'_>) {
        let path = &here.reference.path;
        match path.get(1).map(String::as_str) {
            Some("summary") if here.step.is_some_and(|step| self.drafts[step].finally) => {}
            Some("summary") => {
                let message = "`run.summary` exists only in steps of [[finally]]".to_owned();
                self.unknown(here, codes::OUT_OF_PLACE, message, "the run is not over yet", None);
            }
            Some(name) if RUN.contains(&name) && path.len() == 2 => {}
            other => {
                let help = self.cx.suggest(other.unwrap_or_default(), RUN.into_iter(), "`run` has");
                self.unknown(here, codes::UNKNOWN_NAME, format!("unknown name `{}`", here.reference.dotted()), "", help);
            }
        }
    }

    fn check_env(&self, here: &Here<'_>) {
        let path = &here.reference.path;
        let name = path.get(1).map_or("", String::as_str);
        if self.env.contains_key(name) && path.len() == 2 {
            return;
        }
        if self.secrets.contains_key(name) {
            return self.secret(here, name);
        }
        let help = match self.cx.nearest(name, self.env.keys().map(String::as_str)) {
            Some(near) if near != name => format!("did you mean `env.{near}`?"),
            _ if name.is_empty() || path.len() > 2 => "write {{ env.NAME }}".to_owned(),
            _ => format!("declare it: [env], then `{name} = \"\"` or another default"),
        };
        self.unknown(here, codes::UNKNOWN_NAME, format!("environment variable `{name}` is not declared"), "", Some(help));
    }

    fn secret(&self, here: &Here<'_>, name: &str) {
        let message = format!("secret `{name}` cannot stand in a template");
        let help = format!("add `secrets = [\"{name}\"]` to the step; it then finds it in the environment variable {name}");
        self.unknown(here, codes::SECRET_IN_TEMPLATE, message, "would end up in plans and logs", Some(help));
    }

    fn unknown_root(&self, here: &Here<'_>) {
        let name = here.reference.path[0].as_str();
        if self.secrets.contains_key(name) {
            return self.secret(here, name);
        }
        let help = if self.vars.contains_key(name) {
            format!("did you mean `vars.{}`?", here.reference.dotted())
        } else if self.ids.contains_key(name) {
            format!("did you mean `steps.{}`?", here.reference.dotted())
        } else if let Some(near) = self.cx.nearest(name, ROOTS) {
            format!("did you mean `{near}`?")
        } else if let Some(near) = self.cx.nearest(name, self.vars.keys().map(String::as_str)) {
            format!("did you mean `vars.{near}`?")
        } else {
            "a template sees `vars`, `steps`, `run`, `env`, and `item` under `foreach`".to_owned()
        };
        self.unknown(here, codes::UNKNOWN_NAME, format!("unknown name `{}`", here.reference.dotted()), "", Some(help));
    }

    fn check_foreach(&self, step: usize, template: &Template<'_>) {
        if !matches!(self.drafts[step].def.foreach, Some(serde_json::Value::String(_))) {
            return;
        }
        let refuse = |message: String| {
            let problem = Diagnostic::error(codes::FOREACH, message).at(template.text.range.clone(), "must be a list");
            self.cx.report(problem.help("write a list, or `foreach = \"{{ vars.NAME }}\"` with a var of the type `list`"));
        };
        match template::whole(template.text.text) {
            Some(reference) => match self.json_type(&reference).as_deref() {
                Some("array") | None => {}
                // Everything else that is known when planned is no list; the rest is reported by itself.
                Some(other) if matches!(reference.path[0].as_str(), "vars" | "env") => {
                    refuse(format!("`foreach` takes a list, `{}` is {}", reference.dotted(), super::schema::in_words(other)));
                }
                Some(_) => {}
            },
            None if template::is_whole(template.text.text) => {}
            None => refuse("text around a reference makes `foreach` a text".to_owned()),
        }
    }

    fn check_secret_template(&self, template: &Template<'_>) {
        let named = template::whole(template.text.text).is_some_and(|reference| match reference.path.as_slice() {
            [root, name] if root == "vars" => self.vars.get(name).is_none_or(|var| var.decl.ty == VarType::SecretName),
            [root] => root == "item",
            _ => false,
        });
        if !named {
            let problem = Diagnostic::error(codes::BAD_VALUE, "a secret is named as it is, or by a var of the type `secret-name`");
            self.cx.report(problem.at(template.text.range.clone(), ""));
        }
    }
}
