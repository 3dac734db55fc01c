//! What the thing under the cursor means.

use std::ops::Range;

use super::complete::markdown;
use super::document::Document;
use super::known::{Known, told};
use super::place::{self, Part, Place};
use super::template;
use super::tree::Value;
use crate::diagnostic::explain;

/// What an editor shows above the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Markdown.
    pub text: String,
    /// What it is about, in bytes.
    pub range: Range<usize>,
}

impl Document {
    /// The docs of what stands at an offset, then the long text of every problem there.
    pub fn hover(&self, known: &Known, offset: usize) -> Option<Told> {
        let mut found = self.meaning(known, offset);
        let mut seen: Vec<&str> = Vec::new();
        for problem in self.problems(&known.kinds) {
            let Some(place) = problem.primary.as_ref().map(|label| label.range.clone()) else { continue };
            if !(place.start..=place.end).contains(&offset) || seen.contains(&problem.code) {
                continue;
            }
            seen.push(problem.code);
            let Some(code) = explain(problem.code) else { continue };
            let text = format!("**{}: {}**\n\n{}", code.code, code.title, code.text);
            match &mut found {
                Some(told) => {
                    told.text.push_str("\n\n---\n\n");
                    told.text.push_str(&text);
                }
                None => found = Some(Told { text, range: place }),
            }
        }
        found
    }

    fn meaning(&self, known: &Known, offset: usize) -> Option<Told> {
        match place::at(self.text(), self.tree(), offset) {
            Place::Nothing => None,
            Place::Header(section) => {
                let mut path = place::base(self.text(), section);
                // The list is what the header names, not the table in it.
                path.pop_if(|part| matches!(part, Part::Item(_)));
                let what = self.about(known, &path)?;
                Some(Told { text: what, range: section.header.clone() })
            }
            Place::Key { mut table, range, .. } => {
                let key = self.text()[range.clone()].trim_matches(['"', '\'']).to_owned();
                table.push(Part::Key(key));
                Some(Told { text: self.about(known, &table)?, range })
            }
            Place::Value { path, node } => {
                let node = node?;
                let Value::Text { inner, .. } = &node.value else { return None };
                let text = &self.text()[inner.clone()];
                let step = self.step_of(&path);
                if template::may_stand(&path, step)
                    && let Some(name) = template::name_at(self.text(), inner, offset)
                {
                    return Some(Told { text: template::told(self, known, &name)?, range: name.range });
                }
                let what = match path.as_slice() {
                    [_, Part::Item(_), Part::Key(key)] if key == "uses" => told(known.kind(text)?),
                    [_, Part::Item(_), Part::Key(key), Part::Item(_)] if key == "needs" => {
                        template::step_told(known, self.names().step(text)?)
                    }
                    [_, Part::Item(_), Part::Key(key), Part::Item(_)] if key == "secrets" => {
                        let secret = self.names().secrets.iter().find(|secret| secret.name == text)?;
                        format!("**{text}**: a secret\n\n{}", secret.description.as_deref().unwrap_or_default())
                    }
                    _ => {
                        let spot = known.at(&path, step.and_then(|step| step.uses.as_deref()));
                        let (_, doc) = spot.values().into_iter().find(|(value, doc)| *value == text && !doc.is_empty())?;
                        format!("**{text}**\n\n{doc}")
                    }
                };
                Some(Told { text: what, range: node.range.clone() })
            }
        }
    }

    /// The docs of a key.
    fn about(&self, known: &Known, path: &[Part]) -> Option<String> {
        let spot = known.at(path, self.step_of(path).and_then(|step| step.uses.as_deref()));
        let doc = spot.doc();
        let name = path.iter().rev().find_map(|part| if let Part::Key(key) = part { Some(key) } else { None })?;
        if doc.is_empty() {
            return None;
        }
        let default = spot.default().map_or_else(String::new, |value| format!(", default `{value}`"));
        let takes = Some(spot.takes())
            .filter(|takes| !takes.is_empty())
            .map_or_else(String::new, |takes| format!(" ({}{default})", markdown(&takes)));
        Some(format!("**{name}**{takes}\n\n{doc}"))
    }
}
