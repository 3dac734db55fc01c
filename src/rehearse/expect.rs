//! Holds what came of a run against what the test file expects.

use std::collections::BTreeSet;
use std::path::Path;

use formula_steps::world::ImageRef;
use formula_steps::world::fake::State;
use serde_json::Value;

use super::case::WORK;
use super::compare::short;
use super::control::{Mark, What};
use super::file::{Expect, FileFact};
use super::report::StepReport;
use crate::model::Verdict;

/// What came of it.
pub(super) struct Came<'a> {
    pub verdict: &'a Verdict,
    pub steps: &'a [StepReport],
    pub outputs: &'a std::collections::BTreeMap<String, Value>,
    pub marks: &'a [Mark],
    pub end: &'a State,
}

/// Counts what is met, and tells what is not.
#[derive(Default)]
struct Checks {
    met: usize,
    unmet: Vec<String>,
}

impl Checks {
    fn hold(&mut self, so: bool, otherwise: impl FnOnce() -> String) {
        if so {
            self.met += 1;
        } else {
            self.unmet.push(otherwise());
        }
    }
}

/// The number of expectations that are met, and the others in words.
pub(super) fn check(expect: &Expect, came: &Came<'_>) -> (usize, Vec<String>) {
    let mut checks = Checks::default();
    ending(expect, came, &mut checks);
    order(expect, came, &mut checks);
    for (step, state) in &expect.states {
        let found = came.steps.iter().find(|one| one.id == **step.get_ref()).map_or("not in the plan", |one| one.state.as_str());
        checks.hold(found == state, || format!("step `{}` is {found}, expected {state}", step.get_ref()));
    }
    for (name, wanted) in &expect.outputs {
        let found = name.rsplit_once('.').and_then(|(step, output)| came.outputs.get(step)?.get(output)).cloned().unwrap_or_default();
        checks.hold(found == *wanted, || {
            format!("output `{name}` is {}, expected {}", short(&found.to_string()), short(&wanted.to_string()))
        });
    }
    files(expect, came, &mut checks);
    things(expect, came, &mut checks);
    (checks.met, checks.unmet)
}

fn ending(expect: &Expect, came: &Came<'_>, checks: &mut Checks) {
    let why = || came.verdict.message.as_ref().map(|message| format!(" ({})", short(message))).unwrap_or_default();
    let step = || came.verdict.failed_step.as_ref().map(|step| format!(" at `{step}`")).unwrap_or_default();
    let outcome = came.verdict.outcome.as_str();
    if let Some(wanted) = &expect.outcome {
        checks.hold(outcome == wanted, || format!("the run ends {outcome}{}{}, expected {wanted}", step(), why()));
    }
    let exit = expect.exit.or_else(|| expect.outcome.is_none().then_some(0));
    if let Some(wanted) = exit {
        let found = came.verdict.exit;
        checks.hold(found == wanted, || format!("the exit code is {found}{}{}, expected {wanted}", step(), why()));
    }
}

fn order(expect: &Expect, came: &Came<'_>, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    let began: Vec<&str> =
        came.marks.iter().filter(|mark| mark.what == What::Start && seen.insert(&mark.step)).map(|mark| mark.step.as_str()).collect();
    let mut at = 0;
    for step in &expect.order {
        let found = began[at..].iter().position(|id| super::control::is_of(id, step.get_ref()));
        checks.hold(found.is_some(), || format!("step `{}` does not begin in that order: {}", step.get_ref(), began.join(", ")));
        at += found.map_or(0, |found| found + 1);
    }
}

fn files(expect: &Expect, came: &Came<'_>, checks: &mut Checks) {
    for (path, fact) in &expect.files {
        let shown = path.display();
        let found = came.end.files.get(&Path::new(WORK).join(path));
        let text = found.map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
        match (fact, text) {
            (FileFact::Absent, found) => checks.hold(found.is_none(), || format!("there is a file `{shown}`")),
            (_, None) => checks.hold(false, || format!("there is no file `{shown}`")),
            (FileFact::Text(wanted), Some(text)) => {
                let line = wanted.lines().zip(text.lines()).take_while(|(one, other)| one == other).count();
                let nth = |text: &str| short(text.lines().nth(line).unwrap_or("(no such line)"));
                checks.hold(text == *wanted, || format!("`{shown}` line {} is `{}`, expected `{}`", line + 1, nth(&text), nth(wanted)));
            }
            (FileFact::Part(part), Some(text)) => {
                if part.contains.is_empty() && part.mode.is_none() {
                    checks.met += 1;
                }
                for wanted in &part.contains {
                    checks.hold(text.contains(wanted), || format!("`{shown}` does not hold `{}`", short(wanted)));
                }
                if let Some(wanted) = part.mode {
                    let mode = found.map_or(0, |file| file.mode);
                    checks.hold(mode == wanted, || format!("`{shown}` has mode {mode:o}, expected {wanted:o}"));
                }
            }
        }
    }
}

fn things(expect: &Expect, came: &Came<'_>, checks: &mut Checks) {
    let end = came.end;
    let repo = end.repos.get(Path::new(WORK));
    for tag in &expect.tags {
        checks.hold(repo.is_some_and(|repo| repo.tags.contains_key(tag)), || format!("there is no tag `{tag}`"));
    }
    for (name, refs) in &expect.remotes {
        let remote = repo.and_then(|repo| repo.remotes.get(name));
        for wanted in refs {
            checks.hold(remote.is_some_and(|remote| remote.refs.contains_key(wanted)), || format!("remote `{name}` has no `{wanted}`"));
        }
    }
    for image in &expect.images {
        let named = ImageRef::parse(image).map(|image| image.with_tag(image.tag.as_deref().unwrap_or("latest")).to_string());
        let there = named.is_ok_and(|named| end.docker.images.values().any(|one| one.tags.contains(&named)));
        checks.hold(there, || format!("the engine has no image `{image}`"));
    }
    for image in &expect.published {
        let there = ImageRef::parse(image).ok().and_then(|image| {
            let repository = end.registries.get(&image.registry)?.repositories.get(&image.repository)?;
            repository.tags.get(image.tag.as_deref().unwrap_or("latest"))
        });
        checks.hold(there.is_some(), || format!("no registry has `{image}`"));
    }
    for (name, image) in &expect.running {
        let found = end.docker.containers.values().find(|container| container.name == *name);
        let runs = found.map_or_else(|| "not there".to_owned(), |found| format!("{} with `{}`", found.state, found.image));
        let so = found.is_some_and(|found| found.state == "running" && found.image == *image);
        checks.hold(so, || format!("container `{name}` is {runs}, expected running with `{image}`"));
    }
    for (url, body) in &expect.http {
        let found = end.http.resources.get(url);
        checks.hold(found == Some(body), || {
            format!(
                "`{url}` is {}, expected `{}`",
                found.map_or_else(|| "not there".to_owned(), |text| format!("`{}`", short(text))),
                short(body)
            )
        });
    }
}
