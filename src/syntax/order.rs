//! What each step comes after: what it needs, else the step written before it, and every step it refers to.

use std::ops::Range;

use super::names::{Names, Use};
use super::step::Draft;
use crate::diagnostic::{Diagnostic, codes};
use crate::graph::Graph;

/// Why one step comes after another.
enum Why {
    Needs(Range<usize>),
    Refers(Range<usize>),
    Written,
}

/// The steps that each step follows directly, ascending by place in the file. Reports unknown ids and circles.
pub(super) fn settle(names: &Names<'_>, uses: &[Vec<Use>]) -> (Vec<Vec<usize>>, Graph) {
    let mut graph = Graph::new(names.drafts.len());
    let mut previous: [Option<usize>; 2] = [None, None];
    let mut all = Vec::with_capacity(names.drafts.len());
    for (step, draft) in names.drafts.iter().enumerate() {
        let before = previous[usize::from(draft.finally)].replace(step);
        let mut after: Vec<usize> = match &draft.needs {
            Some(_) => written(names, draft),
            None => before.into_iter().collect(),
        };
        // All of [[finally]] comes after all else anyway.
        after.extend(uses[step].iter().map(|used| used.step).filter(|used| names.drafts[*used].finally == draft.finally));
        after.sort_unstable();
        after.dedup();
        for &before in &after {
            graph.add(before, step);
        }
        all.push(after);
    }
    if let Err(cycles) = graph.order() {
        for cycle in cycles.into_iter().take_while(|_| !names.cx.is_hopeless()) {
            report(names, uses, &cycle);
        }
    }
    (all, graph)
}

/// The steps that `needs` names.
fn written(names: &Names<'_>, draft: &Draft<'_>) -> Vec<usize> {
    let mut found = Vec::new();
    for need in draft.needs.iter().flatten().take_while(|_| !names.cx.is_hopeless()) {
        let Some(&step) = names.ids.get(need.text) else {
            let problem = Diagnostic::error(codes::UNKNOWN_STEP, format!("unknown step `{}` in `needs`", need.text));
            let mut problem = problem.at(need.range.clone(), "no step has this id");
            let ids = names.drafts.iter().filter(|other| other.finally == draft.finally && !other.id.text.is_empty());
            problem.help = match names.cx.nearest(need.text, ids.clone().map(|other| other.id.text)) {
                Some(near) => {
                    let line = names.ids.get(near).map_or(0, |step| names.cx.line(names.drafts[*step].id.range.start));
                    Some(format!("did you mean `{near}` (line {line})?"))
                }
                None => names.cx.suggest(need.text, ids.map(|other| other.id.text), "steps are"),
            };
            names.cx.report(problem);
            continue;
        };
        let other = &names.drafts[step];
        if other.finally == draft.finally {
            found.push(step);
            continue;
        }
        let (message, help) = if draft.finally {
            (format!("`{}` is no step of [[finally]]", need.text), "steps of [[finally]] come after all others anyway: leave it out")
        } else {
            (
                format!("`{}` is a step of [[finally]], nothing can wait for it", need.text),
                "move the step out of [[finally]], or leave it out",
            )
        };
        let problem = Diagnostic::error(codes::NEEDS_ACROSS, message).at(need.range.clone(), "");
        names.cx.report(problem.also(other.id.range.clone(), "this step").help(help));
    }
    found
}

fn why(names: &Names<'_>, uses: &[Vec<Use>], before: usize, after: usize) -> Why {
    let draft = &names.drafts[after];
    let id = names.drafts[before].id.text;
    if let Some(need) = draft.needs.iter().flatten().find(|need| need.text == id) {
        return Why::Needs(need.range.clone());
    }
    match uses[after].iter().find(|used| used.step == before) {
        Some(used) => Why::Refers(used.range.clone()),
        None => Why::Written,
    }
}

/// Links of a long circle that are explained one by one.
const EXPLAINED: usize = 8;

/// A circle, where each step comes before the next and the last before the first.
fn report(names: &Names<'_>, uses: &[Vec<Use>], cycle: &[usize]) {
    let id = |step: usize| names.drafts[step].id.text;
    if let [only] = cycle {
        let problem = Diagnostic::error(codes::CYCLE, format!("step `{}` waits for itself", id(*only)));
        let problem = match why(names, uses, *only, *only) {
            Why::Needs(range) => problem.at(range, "itself").help("leave it out"),
            Why::Refers(range) => problem.at(range, "its own output is not there yet"),
            Why::Written => problem.at(names.drafts[*only].id.range.clone(), ""),
        };
        names.cx.report(problem);
        return;
    }
    let mut path: Vec<String> = cycle.iter().map(|step| format!("`{}`", id(*step))).collect();
    path.push(path[0].clone());
    let mut problem = Diagnostic::error(codes::CYCLE, format!("steps wait for each other: {}", path.join(" → ")));
    let links = cycle.iter().copied().zip(cycle.iter().copied().cycle().skip(1));
    let mut by_order = None;
    for (number, (before, after)) in links.enumerate() {
        let (range, text) = match why(names, uses, before, after) {
            Why::Needs(range) => (range, format!("`{}` needs `{}`", id(after), id(before))),
            Why::Refers(range) => (range, format!("`{}` uses an output of `{}`", id(after), id(before))),
            Why::Written => {
                by_order.get_or_insert(after);
                let text = format!("`{}` has no `needs`, so it follows `{}`", id(after), id(before));
                (names.drafts[after].id.range.clone(), text)
            }
        };
        if number == 0 {
            problem = problem.at(range, text);
        } else if number < EXPLAINED {
            problem = problem.also(range, text);
        }
    }
    let help = match by_order {
        Some(step) => format!("write `needs` on `{}`, or move the step that is used above the one that uses it", id(step)),
        None => "take one of them out of `needs`".to_owned(),
    };
    names.cx.report(problem.help(help));
}
