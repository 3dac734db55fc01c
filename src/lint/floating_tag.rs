//! A floating tag that a later step works with: it may name another image by then.

use super::Subject;
use crate::diagnostic::{Diagnostic, codes};

const FLOATING: [&str; 8] = ["latest", "main", "master", "edge", "stable", "nightly", "dev", "develop"];

/// One warning per image that a step takes by such a tag. Setting one is fine, relying on one is not.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, step) in subject.steps.iter().enumerate().filter(|(_, step)| step.kind().starts_with("image-")) {
        let with = &step.def.with;
        let one = with["image"].as_str().map(|text| ("/image".to_owned(), text));
        let many = with["images"].as_array().into_iter().flatten().enumerate();
        let many = many.filter_map(|(place, image)| Some((format!("/images/{place}"), image.as_str()?)));
        for (pointer, image) in one.into_iter().chain(many) {
            let Some(tag) = tag_of(image).filter(|tag| FLOATING.contains(tag)) else { continue };
            let maker = subject.steps.iter().find(|other| tags(other).any(|tag| tag == image));
            let message = format!("floating tag `{tag}` flows into step `{}`", step.def.id);
            let problem =
                Diagnostic::warning(codes::FLOATING_TAG, message).at(subject.place(at, &pointer), "may name another image by then");
            found.push(match maker {
                Some(maker) => problem
                    .also(maker.place.clone(), "made here")
                    .help(format!("use an output: {{{{ steps.{}.outputs.image_id }}}}", maker.def.id)),
                None => problem.help("name a fixed version or a digest"),
            });
        }
    }
    found
}

fn tags<'s>(step: &'s super::Step<'_>) -> impl Iterator<Item = &'s str> {
    step.def.with["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str())
}

/// The tag of a reference, templates and all.
fn tag_of(image: &str) -> Option<&str> {
    if image.contains('@') {
        return None;
    }
    let (_, tag) = image.rsplit_once(':')?;
    (!tag.contains('/') && !tag.contains('}')).then_some(tag)
}
