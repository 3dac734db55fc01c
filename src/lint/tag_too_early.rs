//! A tag before the image it names is verified: a promise that may be broken.

use super::{Subject, subject};
use crate::diagnostic::{Diagnostic, codes};

/// One warning per `git-tag` step, naming an `image-push` of the same version, if none of those comes before it.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let of_kind = |kind: &'static str| subject.steps.iter().enumerate().filter(move |(_, step)| step.kind() == kind);
    let mut found = Vec::new();
    for (at, step) in of_kind("git-tag") {
        let Some(tag) = step.def.with["tag"].as_str() else { continue };
        let pushes: Vec<_> = of_kind("image-push").filter(|(_, push)| names(&push.def.with["tags"], tag)).collect();
        let Some((_, push)) = pushes.first() else { continue };
        let before = subject.graph.ancestors(at);
        if !pushes.iter().any(|(push, _)| before[*push]) {
            let message = format!("tag `{tag}` is created before `{}` has pushed the image it names", push.def.id);
            let problem = Diagnostic::warning(codes::TAG_TOO_EARLY, message).at(subject.place(at, "/tag"), "promises an image");
            let help = format!("let `{}` come after `{}`", step.def.id, push.def.id);
            found.push(problem.also(push.place.clone(), "may still fail").help(help));
        }
    }
    found
}

/// Whether a tag of an image is of the version that `tag` names, by its text.
fn names(tags: &serde_json::Value, tag: &str) -> bool {
    let mut same = false;
    subject::texts(tags, &mut |_, text| {
        let version = text.rsplit_once(':').map_or(text, |(_, version)| version);
        same |= squeezed(text).ends_with(&squeezed(tag)) || squeezed(version) == squeezed(tag).trim_start_matches('v');
    });
    same
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}
