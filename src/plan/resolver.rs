//! What templates of a planned step mean once the steps before it are over.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};

use crate::model::{Plan, PlanStep, StepIx};
use crate::template::{self, Lookup, Reference, TemplateError};

/// Gives the output of a step; None where it has none, since it was skipped or is not over.
pub type Outputs<'a> = dyn Fn(StepIx) -> Option<Value> + 'a;

/// A step with everything filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The params.
    pub with: Value,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Whether it runs. Where it does not, `with` and `env` are as planned.
    pub condition: bool,
}

/// Renders the steps of one plan. Shared by all that run it; builds its indices when a template first asks for an output.
#[derive(Debug)]
pub struct Resolver {
    plan: Arc<Plan>,
    by_id: OnceLock<Vec<StepIx>>,
    by_prefix: OnceLock<Vec<u32>>,
    by_scope: OnceLock<Vec<StepIx>>,
    tables: Vec<OnceLock<Tables>>,
}

/// Vars and environment of a scope as values.
#[derive(Debug)]
struct Tables {
    vars: Value,
    env: Value,
}

/// What one template, or all of one step, may see.
struct View<'a> {
    vars: Cow<'a, Value>,
    env: &'a Value,
    item: Option<&'a Value>,
    run: &'a Value,
    steps: Value,
}

impl Lookup for View<'_> {
    fn lookup(&self, root: &str) -> Option<&Value> {
        match root {
            "vars" => Some(&self.vars),
            "env" => Some(self.env),
            "item" => self.item,
            "run" => Some(self.run),
            "steps" => Some(&self.steps),
            _ => None,
        }
    }
}

/// What the run adds to the plan.
#[derive(Clone, Copy)]
struct Live<'a> {
    outputs: &'a Outputs<'a>,
    run: &'a Value,
}

impl Resolver {
    /// For this plan.
    pub fn new(plan: Arc<Plan>) -> Self {
        let tables = plan.scopes.iter().map(|_| OnceLock::new()).collect();
        Self { plan, by_id: OnceLock::new(), by_prefix: OnceLock::new(), by_scope: OnceLock::new(), tables }
    }

    /// Fills in a step. `run` is the table that templates see under that name.
    ///
    /// # Errors
    /// When a template refers to an output that is not there, for the step was skipped or did not give it, or a value has the wrong type.
    pub fn render_step(&self, step: StepIx, outputs: &Outputs<'_>, run: &Value) -> Result<Rendered, TemplateError> {
        let planned = self.plan.step(step);
        let as_planned = |condition| Rendered { with: planned.with.clone(), env: planned.env.clone(), condition };
        if !planned.templated {
            return Ok(as_planned(planned.condition.as_deref().is_none_or(template::truthy)));
        }
        let live = Live { outputs, run };
        if !self.runs(planned, live)? {
            return Ok(as_planned(false));
        }
        let mut references = Vec::new();
        collect(&planned.with, &mut references)?;
        for text in planned.env.values() {
            template::each_reference(text, &mut |found| references.push(found.clone()))?;
        }
        let view = self.view(planned.scope, planned.item.as_ref(), &references, live)?;
        let explain = |error| self.explain(planned, live, error);
        let with = template::render(&planned.with, &view).map_err(explain)?;
        let env = planned.env.iter().map(|(name, text)| Ok((name.clone(), template::render_text(text, &view).map_err(explain)?)));
        Ok(Rendered { with, env: env.collect::<Result<_, _>>()?, condition: true })
    }

    /// Whether the step's own condition and those of the formulas around it hold.
    fn runs(&self, planned: &PlanStep, live: Live<'_>) -> Result<bool, TemplateError> {
        let mut scope = &self.plan.scopes[planned.scope as usize];
        let mut conditions = vec![(planned.scope, planned.item.as_ref(), planned.condition.as_deref())];
        while let Some(parent) = scope.parent {
            conditions.push((parent, scope.item.as_ref(), scope.condition.as_deref()));
            scope = &self.plan.scopes[parent as usize];
        }
        // From outside: what is inside need not make sense where the outside does not hold.
        for (scope, item, condition) in conditions.into_iter().rev() {
            if let Some(text) = condition
                && !template::holds(text, &self.view(scope, item, &template::references(text)?, live)?)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the references see, as few values as they need.
    fn view<'a>(
        &'a self,
        scope: u32,
        item: Option<&'a Value>,
        references: &[Reference],
        live: Live<'a>,
    ) -> Result<View<'a>, TemplateError> {
        let tables = self.tables(scope);
        let mut steps = Map::new();
        for reference in references {
            if let [root, id, ..] = reference.path.as_slice()
                && root == "steps"
                && !steps.contains_key(id)
            {
                steps.insert(id.clone(), self.step_value(scope, id, live));
            }
        }
        Ok(View { vars: self.vars(scope, references, live)?, env: &tables.env, item, run: live.run, steps: Value::Object(steps) })
    }

    /// The vars of a scope, those rendered that are referred to and are templates over the scope around it.
    fn vars<'a>(&'a self, scope: u32, references: &[Reference], live: Live<'a>) -> Result<Cow<'a, Value>, TemplateError> {
        let tables = self.tables(scope);
        let planned = &self.plan.scopes[scope as usize];
        let Some(parent) = planned.parent else { return Ok(Cow::Borrowed(&tables.vars)) };
        let wanted =
            |name: &str| references.iter().any(|found| found.path[0] == "vars" && found.path.get(1).is_none_or(|wanted| wanted == name));
        let wanted: Vec<_> = planned.vars.iter().filter(|(name, _)| wanted(name)).collect();
        if !wanted.iter().any(|(_, value)| template::holds_template(value)) {
            return Ok(Cow::Borrowed(&tables.vars));
        }
        let mut inner = Vec::new();
        for (_, value) in &wanted {
            collect(value, &mut inner)?;
        }
        let around = self.view(parent, planned.item.as_ref(), &inner, live)?;
        let mut vars = Map::new();
        for (name, value) in wanted {
            // A value that cannot be had is an error where it is used, not where a condition or a fallback asks for it.
            if let Ok(value) = template::render(value, &around) {
                vars.insert(name.clone(), value);
            }
        }
        Ok(Cow::Owned(Value::Object(vars)))
    }

    fn tables(&self, scope: u32) -> &Tables {
        self.tables[scope as usize].get_or_init(|| {
            let planned = &self.plan.scopes[scope as usize];
            Tables { vars: Value::Object(planned.vars.clone()), env: json!(planned.env) }
        })
    }

    /// What `steps.ID` is: a table with `outputs`, or an empty one.
    fn step_value(&self, scope: u32, id: &str, live: Live<'_>) -> Value {
        let planned = &self.plan.scopes[scope as usize];
        let outputs = match planned.groups.get(id) {
            Some(members) => {
                let prefix = planned.prefix.len() + id.len();
                let label = |member: &str| member[prefix..].trim_start_matches('[').trim_end_matches(']').to_owned();
                let members = members.iter().filter_map(|member| Some((label(member), self.outputs(member, live)?)));
                Some(Value::Object(members.collect()))
            }
            None => self.outputs(&format!("{}{id}", planned.prefix), live),
        };
        outputs.map_or_else(|| json!({}), |outputs| json!({ "outputs": outputs }))
    }

    /// Outputs of a step, or of all steps of an inlined formula by their ids in it.
    fn outputs(&self, id: &str, live: Live<'_>) -> Option<Value> {
        if let Some(step) = self.find(id) {
            return (live.outputs)(step);
        }
        let prefix = format!("{id}/");
        let by_prefix = self.by_prefix.get_or_init(|| {
            let mut scopes: Vec<_> = (0..self.plan.scopes.len() as u32).collect();
            scopes.sort_by_key(|scope| &self.plan.scopes[*scope as usize].prefix);
            scopes
        });
        let at = by_prefix.binary_search_by_key(&&prefix, |scope| &self.plan.scopes[*scope as usize].prefix).ok()?;
        let members = self.members(by_prefix[at]).iter().map(|step| (self.plan.step(*step), *step));
        let named = members.filter_map(|(planned, step)| Some((planned.id[prefix.len()..].to_owned(), (live.outputs)(step)?)));
        Some(Value::Object(named.collect()))
    }

    /// The steps of a scope.
    fn members(&self, scope: u32) -> &[StepIx] {
        let by_scope = self.by_scope.get_or_init(|| {
            let mut steps: Vec<_> = (0..self.plan.steps.len() as u32).map(StepIx).collect();
            steps.sort_by_key(|step| self.plan.step(*step).scope);
            steps
        });
        let start = by_scope.partition_point(|step| self.plan.step(*step).scope < scope);
        let end = by_scope.partition_point(|step| self.plan.step(*step).scope <= scope);
        &by_scope[start..end]
    }

    fn find(&self, id: &str) -> Option<StepIx> {
        let by_id = self.by_id.get_or_init(|| {
            let mut steps: Vec<_> = (0..self.plan.steps.len() as u32).map(StepIx).collect();
            steps.sort_unstable_by(|one, other| self.plan.step(*one).id.cmp(&self.plan.step(*other).id));
            steps
        });
        let at = by_id.binary_search_by(|step| self.plan.step(*step).id.as_str().cmp(id)).ok()?;
        Some(by_id[at])
    }

    /// Says that a step was skipped where that is why its output is not there.
    fn explain(&self, planned: &PlanStep, live: Live<'_>, error: TemplateError) -> TemplateError {
        let Some([root, id, ..]) = error.path.as_deref() else { return error };
        if root == "vars" {
            return self.explain_var(planned, id, live, &error);
        }
        if root != "steps" || self.step_value(planned.scope, id, live).get("outputs").is_some() {
            return error;
        }
        let path = error.path.as_ref().map(|path| path.join(".")).unwrap_or_default();
        TemplateError {
            message: format!("`{path}` has no value: step `{id}` gave no outputs, for it was skipped or did not end well"),
            help: Some(format!("give a fallback, `{{{{ default {path} \"…\" }}}}`, or the same `if` as that step")),
            ..error
        }
    }

    /// A var of an inlined formula that is itself a template: the reason lies in the scope around it.
    fn explain_var(&self, planned: &PlanStep, name: &str, live: Live<'_>, error: &TemplateError) -> TemplateError {
        let scope = &self.plan.scopes[planned.scope as usize];
        let (Some(parent), Some(value)) = (scope.parent, scope.vars.get(name)) else { return error.clone() };
        let mut references = Vec::new();
        let rendered = collect(value, &mut references)
            .and_then(|()| self.view(parent, scope.item.as_ref(), &references, live))
            .and_then(|view| template::render(value, &view));
        match rendered {
            Err(reason) => TemplateError { message: format!("`vars.{name}` has no value: {}", reason.message), ..error.clone() },
            Ok(_) => error.clone(),
        }
    }
}

fn collect(value: &Value, references: &mut Vec<Reference>) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => template::each_reference(text, &mut |found| references.push(found.clone())),
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, references)),
        Value::Object(map) => map.values().try_for_each(|item| collect(item, references)),
        _ => Ok(()),
    }
}
