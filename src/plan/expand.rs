//! Steps as written become steps of the plan: one per item, values filled in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::inline::Source;
use super::items::{Item, items};
use super::kinds::{FORMULA, gate};
use super::problems::{Site, names};
use super::settle::{Settler, Trouble, View};
use super::wire::{self, Built, Instance};
use super::{Inputs, Kinds, Load};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{Formula, PlanStep, Scope, SecretSource, Span, StepDef};
use crate::syntax::{GATE_BEHAVIOUR, MOST_STEPS};
use crate::template;

/// Everything expanded, `needs` filled in, in the order of the texts.
pub(super) struct Expansion {
    pub scopes: Vec<Scope>,
    pub steps: Vec<PlanStep>,
    pub secrets: BTreeMap<String, Vec<SecretSource>>,
    pub optional_secrets: Vec<String>,
}

/// What planning knows of a scope beside what the plan keeps.
#[derive(Debug)]
pub(super) struct Frame {
    /// The vars as a table.
    pub vars: Value,
    /// Vars that are known only during the run.
    pub open: HashSet<String>,
    /// The environment as a table.
    pub env: Value,
    /// Whether a condition on the way here is known only during the run.
    pub conditional: bool,
}

/// The formula instance whose steps are being expanded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level<'f> {
    /// Where problems are shown.
    pub site: Site<'f>,
    /// Its scope.
    pub scope: u32,
    /// Whether its steps belong to `[[finally]]`.
    pub finally: bool,
}

/// Whether a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Always,
    Never,
    Open(String),
}

/// The work in progress.
pub(super) struct Expander<'a> {
    pub(super) kinds: &'a dyn Kinds,
    pub(super) inputs: &'a Inputs,
    pub(super) load: &'a mut Load<'a>,
    pub(super) loaded: HashMap<String, Rc<Formula>>,
    /// Names of the formulas that are being inlined, outermost first.
    pub(super) stack: Vec<String>,
    pub(super) scopes: Vec<Scope>,
    pub(super) frames: Vec<Frame>,
    /// `[[finally]]` parts to be expanded after all other steps.
    pub(super) late: Vec<(Source<'a>, u32, Option<Span>)>,
    pub(super) problems: Vec<Diagnostic>,
    steps: Vec<PlanStep>,
    secrets: BTreeMap<String, Vec<SecretSource>>,
    required_secrets: HashSet<String>,
    full: bool,
}

impl<'a> Expander<'a> {
    /// Nothing expanded yet.
    pub(super) fn new<'l: 'a>(kinds: &'a dyn Kinds, inputs: &'a Inputs, load: &'a mut Load<'l>) -> Self {
        Self {
            kinds,
            inputs,
            load,
            loaded: HashMap::new(),
            stack: Vec::new(),
            scopes: Vec::new(),
            frames: Vec::new(),
            late: Vec::new(),
            problems: Vec::new(),
            steps: Vec::new(),
            secrets: BTreeMap::new(),
            required_secrets: HashSet::new(),
            full: false,
        }
    }

    /// Expands the root and all it inlines.
    pub(super) fn expand(mut self, formula: &'a Formula) -> Result<Expansion, Vec<Diagnostic>> {
        self.root(formula);
        self.stack.push(formula.name.clone());
        let mut parts = Vec::new();
        let level = Level { site: Site { formula, outer: None }, scope: 0, finally: false };
        if self.runnable(level) {
            parts.push(self.formula(&formula.steps, level));
            self.late.insert(0, (Source::Root(formula), 0, None));
        }
        let mut at = 0;
        while at < self.late.len() {
            let (source, scope, outer) = self.late[at].clone();
            let level = Level { site: Site { formula: &source, outer }, scope, finally: true };
            parts.push(self.formula(&source.finally, level));
            at += 1;
        }
        if self.problems.is_empty() && parts.iter().any(|part| wire::wire(part, &mut self.steps).is_err()) {
            let message = format!("the plan would have more than {} dependencies between steps", wire::MOST_EDGES);
            let help = "put one step between two `foreach` of many items, so that the second waits for one step only";
            self.problems.push(level.site.formula(codes::TOO_MANY_STEPS, message).help(help));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let optional_secrets = self.secrets.keys().filter(|name| !self.required_secrets.contains(*name)).cloned().collect();
        Ok(Expansion { scopes: self.scopes, steps: self.steps, secrets: self.secrets, optional_secrets })
    }

    fn root(&mut self, formula: &Formula) {
        let env = self.env(formula);
        self.frames.push(Frame {
            vars: Value::Object(self.inputs.vars.clone()),
            open: HashSet::new(),
            env: env.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect(),
            conditional: false,
        });
        self.scopes.push(Scope {
            parent: None,
            prefix: String::new(),
            vars: self.inputs.vars.clone(),
            item: None,
            condition: None,
            env,
            groups: BTreeMap::new(),
        });
    }

    /// Values of the variables that a formula declares.
    pub(super) fn env(&self, formula: &Formula) -> BTreeMap<String, String> {
        let value = |name: &String, default: &Option<String>| self.inputs.env.get(name).or(default.as_ref()).cloned();
        formula.env.iter().filter_map(|(name, default)| Some((name.clone(), value(name, default)?))).collect()
    }

    /// Reports a formula with steps that only say in prose what is to be done.
    pub(super) fn runnable(&mut self, level: Level<'_>) -> bool {
        let formula = level.site.formula;
        let prose: Vec<_> = formula.steps.iter().chain(&formula.finally).filter(|def| def.uses.is_none()).collect();
        let Some(first) = prose.first() else { return true };
        let steps = names(prose.iter().map(|def| def.id.as_str()));
        let (word, verb) = if prose.len() == 1 { ("step", "says") } else { ("steps", "say") };
        let message = format!("prose cannot run: {word} {steps} of formula `{}` {verb} in words what is to be done", formula.name);
        let problem = level.site.formula(codes::PROSE_STEP, message);
        let problem = if level.site.outer.is_none() { problem.at(first.span, "has no `uses`") } else { problem };
        self.problems
            .push(problem.help("give each of them a kind, `uses = \"…\"`, with its params in `with`; `formula steps` lists the kinds"));
        false
    }

    /// Expands the steps of one formula instance.
    pub(super) fn formula(&mut self, defs: &[StepDef], level: Level<'_>) -> Built {
        let places: HashMap<&str, usize> = defs.iter().enumerate().map(|(place, def)| (def.id.as_str(), place)).collect();
        let needs: Vec<Vec<usize>> =
            defs.iter().map(|def| def.needs.iter().filter_map(|need| places.get(need.as_str()).copied()).collect()).collect();
        if wire::order(defs.len(), |def| &needs[def]).is_none() {
            let message = format!("steps of formula `{}` wait for each other in a circle", level.site.formula.name);
            self.problems.push(level.site.formula(codes::CYCLE, message));
            return Built::default();
        }
        let instances = defs.iter().map(|def| self.def(def, level)).collect();
        Built { needs, instances }
    }

    fn def(&mut self, def: &StepDef, level: Level<'_>) -> Vec<Instance> {
        let Some(list) = &def.foreach else {
            return self.one(def, level, &def.id, None).into_iter().collect();
        };
        let Some(items) = self.items(def, level, list) else { return Vec::new() };
        let mut ids = Vec::with_capacity(items.len());
        let mut instances = Vec::with_capacity(items.len());
        for Item { label, value } in items {
            let id = format!("{}[{label}]", def.id);
            instances.extend(self.one(def, level, &id, Some(value)));
            if self.full {
                break;
            }
            ids.push(format!("{}{id}", self.scopes[level.scope as usize].prefix));
        }
        self.scopes[level.scope as usize].groups.insert(def.id.clone(), ids);
        instances
    }

    fn items(&mut self, def: &StepDef, level: Level<'_>, list: &Value) -> Option<Vec<Item>> {
        let view = self.view(level.scope, None);
        if view.holds_open(list) {
            let problem = level.site.step(def, codes::FOREACH, "`foreach` must be known when the run is planned");
            self.problems.push(problem.help("outputs of steps are not known then; loop over a var or a literal list"));
            return None;
        }
        let mut settler = Settler { view, again: false, troubles: Vec::new() };
        let list = settler.value(list);
        let troubles = settler.troubles;
        if self.report(def, level, &troubles) {
            return None;
        }
        match items(&list) {
            Ok(items) => Some(items),
            Err(found) => {
                let problem = level.site.step(def, codes::FOREACH, format!("`foreach` takes a list or a table, this is {found}"));
                self.problems.push(problem.help("a list var is given by repeating its flag"));
                None
            }
        }
    }

    /// One step, or one inlined formula.
    fn one(&mut self, def: &StepDef, level: Level<'_>, id: &str, item: Option<Value>) -> Option<Instance> {
        if self.full {
            return None;
        }
        if self.steps.len() >= MOST_STEPS || self.scopes.len() > MOST_STEPS {
            self.full = true;
            let message = format!("the plan would have more than {MOST_STEPS} steps");
            self.problems.push(level.site.step(def, codes::TOO_MANY_STEPS, message).help("split the formula, or loop over fewer items"));
            return None;
        }
        let condition = self.condition(def, level, item.as_ref())?;
        if def.uses.as_deref() == Some(FORMULA) && condition != Condition::Never {
            let condition = match condition {
                Condition::Open(text) => Some(text),
                Condition::Always | Condition::Never => None,
            };
            return self.inline(def, level, id, item, condition).map(Instance::Inline);
        }
        let step = self.step(def, level, id, item, condition)?;
        self.steps.push(step);
        Some(Instance::Step(self.steps.len() as u32 - 1))
    }

    fn condition(&mut self, def: &StepDef, level: Level<'_>, item: Option<&Value>) -> Option<Condition> {
        let Some(text) = &def.condition else { return Some(Condition::Always) };
        let view = self.view(level.scope, item);
        if view.is_open(text) {
            return Some(Condition::Open(text.clone()));
        }
        match template::holds(text, &view) {
            Ok(true) => Some(Condition::Always),
            Ok(false) => Some(Condition::Never),
            Err(error) => {
                self.report(def, level, &[Trouble { text: text.clone(), error }]);
                None
            }
        }
    }

    fn step(&mut self, def: &StepDef, level: Level<'_>, id: &str, item: Option<Value>, condition: Condition) -> Option<PlanStep> {
        let kind = def.uses.as_deref()?;
        let gate = gate(kind);
        let never = condition == Condition::Never;
        let Some(kind_version) = self.kinds.version(kind).or((gate.is_some() || kind == FORMULA).then_some(1)) else {
            self.problems.push(level.site.step(def, codes::UNKNOWN_KIND, format!("unknown kind `{kind}`")));
            return None;
        };
        let secrets = if never { Vec::new() } else { self.secrets(def, level, item.as_ref()) };
        let view = self.view(level.scope, item.as_ref());
        let frame = &self.frames[level.scope as usize];
        let open = !never
            && (matches!(condition, Condition::Open(_))
                || frame.conditional
                || view.holds_open(&def.with)
                || def.env.values().any(|text| view.is_open(text)));
        let mut settler = Settler { view, again: open, troubles: Vec::new() };
        let (with, env) = (settler.value(&def.with), settler.env(&def.env));
        let title = def.title.as_ref().map(|title| match (gate, template::render_text(title, &view)) {
            (Some(_), Ok(rendered)) => rendered,
            _ => title.clone(),
        });
        let troubles = settler.troubles;
        if !never {
            let wrong = self.report(def, level, &troubles);
            if wrong || !open && self.refused(def, level, id, kind, &with) {
                return None;
            }
        }
        let behaviour = match gate {
            Some(_) => GATE_BEHAVIOUR,
            None => self.kinds.behaviour(kind, &with).unwrap_or(GATE_BEHAVIOUR),
        };
        Some(PlanStep {
            id: format!("{}{id}", self.scopes[level.scope as usize].prefix),
            title,
            kind: kind.to_owned(),
            kind_version,
            gate,
            with,
            env,
            templated: open,
            condition: match condition {
                Condition::Always => None,
                Condition::Never => Some("false".to_owned()),
                Condition::Open(text) => Some(text),
            },
            needs: Vec::new(),
            scope: level.scope,
            item,
            retry: def.retry,
            timeout_ms: def.timeout_ms,
            secrets,
            behaviour,
            finally: level.finally,
        })
    }

    /// Whether the kind refuses the params, which are all known.
    fn refused(&mut self, def: &StepDef, level: Level<'_>, id: &str, kind: &str, with: &Value) -> bool {
        let messages = self.kinds.check(kind, with);
        for message in &messages {
            let which = if id == def.id { String::new() } else { format!("`{id}`: ") };
            let problem = level.site.step(def, codes::PARAM_REFUSED, format!("{which}`{kind}` refuses its params: {message}"));
            self.problems.push(problem.help(format!("`formula steps {kind}` shows what it takes")));
        }
        !messages.is_empty()
    }

    /// Names of the secrets handed to a step; an empty name, from a var that is not given, is none.
    fn secrets(&mut self, def: &StepDef, level: Level<'_>, item: Option<&Value>) -> Vec<String> {
        let view = self.view(level.scope, item);
        let mut settler = Settler { view, again: false, troubles: Vec::new() };
        let named: Vec<Value> = def.secrets.iter().map(|name| settler.value(&Value::from(name.as_str()))).collect();
        let troubles = settler.troubles;
        self.report(def, level, &troubles);
        let mut secrets = Vec::new();
        for name in named.iter().filter_map(Value::as_str).filter(|name| !name.is_empty() && !template::is_template(name)) {
            let Some(decl) = level.site.formula.secrets.get(name) else {
                let problem = level.site.step(def, codes::UNKNOWN_SECRET, format!("secret `{name}` is not declared"));
                self.problems.push(problem.help(format!("declare it: [secrets.{name}] with `from = [\"env:{name}\"]`")));
                continue;
            };
            let sources = self.secrets.entry(name.to_owned()).or_default();
            let new: Vec<_> = decl.from.iter().filter(|source| !sources.contains(source)).cloned().collect();
            sources.extend(new);
            if decl.required {
                self.required_secrets.insert(name.to_owned());
            }
            if !secrets.iter().any(|known| known == name) {
                secrets.push(name.to_owned());
            }
        }
        secrets
    }

    /// What is known in a scope.
    pub(super) fn view<'v>(&'v self, scope: u32, item: Option<&'v Value>) -> View<'v> {
        let frame = &self.frames[scope as usize];
        View { vars: &frame.vars, open: &frame.open, env: &frame.env, item }
    }

    /// Whether there was anything to report.
    pub(super) fn report(&mut self, def: &StepDef, level: Level<'_>, troubles: &[Trouble]) -> bool {
        self.problems.extend(troubles.iter().map(|trouble| level.site.trouble(def, trouble)));
        !troubles.is_empty()
    }
}
