//! The runbook of one formula: for whoever has to run it, and has to know at three in the morning what a step does and what to type.

use std::fmt::Write as _;

use formula_steps::contract::{Behaviour, Effect, Repeat, Undo};

use super::super::graph::as_written;
use super::super::kind::{self, Kind};
use super::super::vars::type_name;
use super::cell;
use crate::graph::draw::mermaid;
use crate::model::{Formula, OnFailure, SecretSource, StepDef, VarDecl, anchor};
use crate::report::duration;
use crate::syntax::{Builtin, Kinds as _};

/// What surrounds a page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Part of the reference: a picture lies beside it, and the pages of kinds are near.
    Reference,
    /// Anywhere.
    Alone,
}

/// The page.
pub(super) fn page(formula: &Formula, place: Place) -> String {
    let mut page = format!("# Runbook: `{}`\n\n{}.\n\n", formula.name, formula.description.trim_end_matches('.'));
    match place {
        Place::Reference => {
            let _ = writeln!(page, "![The steps of {0}]({0}.svg)", formula.name);
        }
        Place::Alone => {
            let _ = write!(page, "```mermaid\n{}```\n", mermaid(&as_written(formula)));
        }
    }
    before(formula, &mut page);
    vars(formula, &mut page);
    secrets(formula, &mut page);
    ends(formula, place, &mut page);
    page.push_str("\n## Steps\n");
    for step in &formula.steps {
        self::step(formula, step, false, place, &mut page);
    }
    if !formula.finally.is_empty() {
        page.push_str("\n## Finally\n\nThese run once the rest is over, however it ended, and are not taken back.\n");
        for step in &formula.finally {
            self::step(formula, step, true, place, &mut page);
        }
    }
    page
}

fn command(formula: &Formula, verb: &str) -> String {
    let needed = formula.vars.iter().filter(|(_, var)| var.required);
    let flags: String =
        needed.flat_map(|(name, _)| [" --".to_owned(), name.replace('_', "-"), " ".to_owned(), name.to_uppercase()]).collect();
    format!("formula {verb} {}{flags}", formula.name)
}

fn before(formula: &Formula, page: &mut String) {
    let lock = if formula.lock == "workdir" { "of one working directory".to_owned() } else { format!("under the lock `{}`", formula.lock) };
    let fails = match formula.on_failure {
        OnFailure::Hold => "the run is held where it is (exit 20), and you decide",
        OnFailure::Rollback => {
            "what the run made is taken back by itself (exit 22; 23 where something could not be); past the line of no return the run is held instead (exit 20)"
        }
    };
    let _ = write!(
        page,
        "\n## Before\n\n```sh\n{:52}# what would happen, with diffs; touches nothing\n{}\n```\n\n\
         - Two runs {lock} exclude each other (exit 12, with who holds it and since when).\n\
         - At most {} steps run at once.\n\
         - When a step fails for good, {fails}.\n\
         - {}\n",
        command(formula, "plan"),
        command(formula, "run"),
        formula.max_parallel,
        no_return(formula)
    );
}

/// The line past which there is no way back, as far as it can be known before vars are.
fn no_return(formula: &Formula) -> String {
    let one_way = formula.steps.iter().find(|step| behaviour(step).is_some_and(|found| found.effect == Effect::OneWay));
    let inlined = formula.steps.iter().any(|step| step.uses.as_deref() == Some("formula"));
    match one_way {
        Some(step) => format!(
            "**The line of no return** runs before [`{}`](#{}): what that step does cannot be taken back.",
            step.id,
            anchor(&step.id)
        ),
        None if inlined => {
            "No step of its own is one-way; steps of the formulas that it names may be: `formula plan` draws the line.".to_owned()
        }
        None => "No step is one-way as it is written. Where vars or what is found make one so, `formula plan` draws the line.".to_owned(),
    }
}

fn vars(formula: &Formula, page: &mut String) {
    if formula.vars.is_empty() {
        return;
    }
    page.push_str("\n## Vars\n\n| Flag | Takes | Needed | What |\n|---|---|---|---|\n");
    for (name, var) in &formula.vars {
        let needed = match &var.default {
            _ if var.required => "yes".to_owned(),
            Some(default) => format!("default `{}`", cell(&default.to_string())),
            None => String::new(),
        };
        let _ = writeln!(page, "| `--{}` | {} | {needed} | {} |", name.replace('_', "-"), takes(var), cell(&var.description));
    }
}

fn takes(var: &VarDecl) -> String {
    if var.choices.is_empty() {
        return type_name(var.ty);
    }
    var.choices.iter().map(|choice| format!("`{}`", cell(choice))).collect::<Vec<_>>().join(", ")
}

fn secrets(formula: &Formula, page: &mut String) {
    if formula.secrets.is_empty() {
        return;
    }
    page.push_str("\n## Secrets\n\nLooked for before the first effect; handed to the steps that name them and to nothing else.\n\n");
    page.push_str("| Secret | Needed | Looked for in | Handed to |\n|---|---|---|---|\n");
    for (name, secret) in &formula.secrets {
        let users = formula.steps.iter().chain(&formula.finally).filter(|step| step.secrets.contains(name));
        let users: Vec<String> = users.map(|step| format!("[`{}`](#{})", step.id, anchor(&step.id))).collect();
        let from: Vec<String> = secret.from.iter().map(source).collect();
        let needed = if secret.required { "yes" } else { "no" };
        let _ = writeln!(page, "| `{name}` | {needed} | {} | {} |", from.join(", then "), users.join(", "));
    }
}

fn source(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) => format!("the variable `{}`", cell(name)),
        SecretSource::File(path) => format!("the file `{}`", cell(path)),
        SecretSource::Sops { file, key: Some(key) } => format!("`{}` of the sops file `{}`", cell(key), cell(file)),
        SecretSource::Sops { file, key: None } => format!("the sops file `{}`", cell(file)),
        SecretSource::Age(file) => format!("the age file `{}`", cell(file)),
        SecretSource::Command(argv) => format!("what `{}` prints", cell(&argv.join(" "))),
    }
}

/// How runs of it end, and what to type then.
fn ends(formula: &Formula, place: Place, page: &mut String) {
    let again = command(formula, "run");
    page.push_str("\n## When it stops\n\n`formula show` tells how the run stands and which answers are valid now; `formula log RUN STEP` what a step printed.\n\n");
    page.push_str("| Exit | Means | Type |\n|--:|---|---|\n");
    let rows: [(&str, &str, String); 7] = [
        ("0", "done", String::new()),
        ("10", "formula, vars or secrets are not valid", format!("`formula check {}`", formula.name)),
        ("11", "a look refused before anything was changed", format!("mend what it names, then `{again}`")),
        (
            "20",
            "held: a step failed, is in doubt, or a gate is open",
            "mend it and `formula resume`; or `formula settle`, `formula approve`, `formula rollback`".into(),
        ),
        ("22", "failed, and everything that the run made is taken back", format!("mend what it names, then `{again}`")),
        (
            "23",
            "failed, and not everything could be taken back",
            "`formula show`, then `formula rollback` again, or `formula settle`".into(),
        ),
        ("130, 143, none", "interrupted, terminated, the machine died", format!("`{again}`: the same command carries on")),
    ];
    for (code, means, now) in rows {
        let _ = writeln!(page, "| {code} | {means} | {now} |");
    }
    if let Place::Reference = place {
        page.push_str("\n[All exit codes](../exit-codes.md).\n");
    }
}

fn behaviour(step: &StepDef) -> Option<Behaviour> {
    Builtin::default().behaviour(step.uses.as_deref()?, &step.with)
}

fn step(formula: &Formula, step: &StepDef, finally: bool, place: Place, page: &mut String) {
    let _ = writeln!(page, "\n### Step `{}`\n", step.id);
    if let Some(title) = &step.title {
        let _ = writeln!(page, "{}.\n", cell(title).trim_end_matches('.'));
    }
    let Some(kind) = step.uses.as_deref().and_then(kind::find) else {
        let _ = writeln!(page, "Prose for a person; nothing runs it.");
        return;
    };
    // The step's own table may make it behave otherwise than its kind usually does.
    let kind = Kind { behaviour: behaviour(step).or(kind.behaviour), ..kind };
    page.push_str("| | |\n|---|---|\n");
    let mut row = |name: &str, text: &str| {
        let _ = writeln!(page, "| {name} | {text} |");
    };
    let linked = match place {
        Place::Reference => format!("[`{0}`](../steps/{0}.md)", kind.name),
        Place::Alone => format!("`{}`", kind.name),
    };
    row("does", &format!("{linked}: {}", cell(kind.summary)));
    if !step.needs.is_empty() {
        row("after", &step.needs.iter().map(|need| format!("[`{need}`](#{})", anchor(need))).collect::<Vec<_>>().join(", "));
    }
    if let Some(condition) = &step.condition {
        row("only if", &format!("`{}`", cell(condition)));
    }
    if let Some(list) = &step.foreach {
        row(
            "for each of",
            &format!("`{}`; each item is a step of its own, `{}[ITEM]`", cell(list.as_str().unwrap_or(&list.to_string())), step.id),
        );
    }
    if !step.secrets.is_empty() {
        row("secrets", &step.secrets.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
    }
    if let Some(limit) = step.timeout_ms {
        row("time limit", &format!("{}, then it fails as `timeout`", duration(limit)));
    }
    row("effect", kind.effect());
    row("undo", &undo(&kind, finally));
    page.push('\n');
    fails(formula, step, &kind, finally, page);
}

fn undo(kind: &Kind, finally: bool) -> String {
    if finally {
        return "stays: steps of `[[finally]]` are not taken back".to_owned();
    }
    match kind.behaviour.map(|behaviour| behaviour.undo) {
        Some(Undo::Restore | Undo::Reverse) => {
            format!("{}; only what this run made, and only while it is still that", kind.undo())
        }
        _ => kind.undo().to_owned(),
    }
}

/// How a step fails, and what to type then.
fn fails(formula: &Formula, step: &StepDef, kind: &Kind, finally: bool, page: &mut String) {
    let id = &step.id;
    let Some(behaviour) = kind.behaviour else {
        let _ = match kind.name {
            "approve" => writeln!(
                page,
                "Waits without holding a slot. Off a terminal the run is held (exit 20); answer with `formula approve RUN {id}` or `formula approve RUN {id} --deny`, then give the same command again. Denied, or expired, it fails as `refused`."
            ),
            "wait" => writeln!(page, "Waits without holding a slot; `formula cancel` stops the run, and the same command waits on."),
            _ => writeln!(page, "Fails as its steps do; they stand in `formula show` as `{id}/…`."),
        };
        return;
    };
    let held = match formula.on_failure {
        OnFailure::Rollback if !finally => "what the run made is taken back: exit 22",
        _ => "the run is held: exit 20",
    };
    let blind = !behaviour.probes && behaviour.repeat == Repeat::Never;
    let doubt = "held in doubt, exit 20: nobody can tell whether it took effect";
    page.push_str("| Fails as | Then |\n|---|---|\n");
    let mut row = |class: &str, then: &str| {
        let _ = writeln!(page, "| {class} | {then} |");
    };
    let tries = step.retry.attempts;
    let looks = behaviour.effect == Effect::ReadOnly;
    let early = |change: &str| format!("{change}as long as no step changed anything the run is refused: exit 11; later {held}");
    let at_last = if looks { early("") } else { held.to_owned() };
    let transient = match (blind, tries) {
        (true, _) => doubt.to_owned(),
        (false, 1) => at_last.clone(),
        (false, tries) => {
            let (first, most) = (duration(step.retry.min_ms), duration(step.retry.max_ms));
            format!("tried again by itself, {tries} times in all, first after {first}, at most {most} apart; then {at_last}")
        }
    };
    row("`transient`, `timeout`", &transient);
    row("`refused`", &if looks { at_last.clone() } else { early("it changed nothing; ") });
    row("`permanent`", &at_last);
    row("`conflict`", &format!("something is there that is not its own to overwrite; {held}"));
    row("cut off", &if blind { format!("`interrupted`; {doubt}") } else { format!("{}; the same command carries on", kind.repeat()) });
    let backs = formula.on_failure == OnFailure::Rollback && !finally;
    let _ = writeln!(page, "\n{}", if backs { after_going_back(step, looks, blind) } else { after_holding(step, finally, looks) });
}

/// `formula settle` for a step, and its answers.
fn settle(step: &StepDef, looks: bool) -> (String, String) {
    let id = if step.foreach.is_some() { format!("'{}[ITEM]'", step.id) } else { step.id.clone() };
    let settle = format!("`formula settle RUN {id} --reason TEXT`");
    let adopt = if looks { "" } else { " `--adopt` to take what is there as its result, where it is in doubt or in conflict;" };
    let answers = format!("{settle} with `--retry` to try it again;{adopt} `--skip` to go on without it");
    (settle, answers)
}

/// What to type once a step failed and the run is held.
fn after_holding(step: &StepDef, finally: bool, looks: bool) -> String {
    let (_, answers) = settle(step, looks);
    let back = if finally { "" } else { " Or `formula rollback`, which takes back what the run made." };
    format!("Mend what the message names, then `formula resume`. Or {answers}.{back}")
}

/// What to type once a step failed and the run went back by itself.
fn after_going_back(step: &StepDef, looks: bool, blind: bool) -> String {
    let (settle, answers) = settle(step, looks);
    let undo = if looks { String::new() } else { format!(", or, once you took it back yourself, {settle} with `--skip`") };
    let doubt = if blind { format!(" In doubt: look whether it took effect, then {answers}.") } else { String::new() };
    format!(
        "After exit 22 mend what the message names and give the same command, which starts a new run. After exit 23 put right what is in the \
         way, then `formula rollback`{undo}.{doubt}"
    )
}
