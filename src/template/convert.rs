//! From Handlebars' tree to ours: refuses what formulas do not have, binds names, and gives every reference its place.

use std::ops::Range;

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg, Template};

use super::ast::{Compiled, Expr, LoopVar, Node};
use super::helpers::{self, HELPERS};
use super::scan::{Scan, scan};
use super::{Reference, TemplateError};

const BRACES: &str = "for braces that are not a template write `\\{{` (in a TOML string in double quotes `\\\\{{`)";

/// Reads a template.
pub(super) fn compile(text: &str) -> Result<Compiled, TemplateError> {
    let scan = scan(text)?;
    let template = Template::compile(text).map_err(|error| unreadable(text, &scan, &error))?;
    let mut converter = Converter { text, scan, word: 0, frames: Vec::new(), references: Vec::new() };
    let nodes = converter.nodes(&template)?;
    Ok(Compiled { nodes, references: converter.references })
}

/// The parser's own words name its grammar, which helps nobody; the place does.
fn unreadable(text: &str, scan: &Scan, error: &handlebars::TemplateError) -> TemplateError {
    let offset = error.pos().map_or(0, |(line, column)| offset(text, line, column));
    let tag = scan.tags.iter().rev().find(|tag| tag.start <= offset).or(scan.tags.first()).cloned();
    let shown = tag.clone().map_or("{{", |tag| &text[tag]);
    let message = match error.reason() {
        handlebars::TemplateErrorReason::MismatchingClosedHelper(opened, closing) => {
            format!("`{{{{#{opened}}}}}` is closed by `{{{{/{closing}}}}}`")
        }
        _ if !shown.ends_with("}}") => format!("template `{}` is not closed", short(shown)),
        _ => format!("template `{}` is not well formed", short(shown)),
    };
    let error = TemplateError::new(message).help(BRACES);
    match tag {
        Some(tag) => error.at(tag),
        None => error,
    }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let line = text[start.min(text.len())..].chars().take(column.saturating_sub(1));
    start + line.map(char::len_utf8).sum::<usize>()
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The names that an `each` binds.
#[derive(Default)]
struct Frame {
    item: Option<String>,
    key: Option<String>,
}

struct Converter<'a> {
    text: &'a str,
    scan: Scan,
    /// The first word that no reference was placed on yet.
    word: usize,
    frames: Vec<Frame>,
    references: Vec<Reference>,
}

impl Converter<'_> {
    fn nodes(&mut self, template: &Template) -> Result<Vec<Node>, TemplateError> {
        let mut nodes = Vec::with_capacity(template.elements.len());
        for element in &template.elements {
            match element {
                TemplateElement::RawString(text) if text.is_empty() => {}
                TemplateElement::RawString(text) => nodes.push(Node::Text(text.clone())),
                TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper) => nodes.push(Node::Show(self.call(helper)?)),
                TemplateElement::HelperBlock(helper) => nodes.push(self.block(helper)?),
                TemplateElement::Comment(_) => {}
                _ => {
                    return Err(self.refused("templates in formulas have no partials and no decorators"));
                }
            }
        }
        Ok(nodes)
    }

    fn block(&mut self, helper: &HelperTemplate) -> Result<Node, TemplateError> {
        let name = helper.name.as_name().unwrap_or_default();
        if !matches!(name, "if" | "unless" | "each") {
            return Err(self.refused(format!("unknown block `{{{{#{name}}}}}`")).help("blocks are `if`, `unless`, `each`"));
        }
        let [param] = helper.params.as_slice() else {
            return Err(self.refused(format!("`{{{{#{name}}}}}` takes one argument, it has {}", helper.params.len())));
        };
        if !helper.hash.is_empty() {
            return Err(self.refused(format!("`{{{{#{name}}}}}` takes no named arguments")));
        }
        let test = self.expr(param)?;
        if name == "each" {
            self.frames.push(frame(helper.block_param.as_ref()));
        }
        let body = helper.template.as_ref().map_or_else(|| Ok(Vec::new()), |body| self.nodes(body));
        if name == "each" {
            self.frames.pop();
        }
        let body = body?;
        let otherwise = helper.inverse.as_ref().map_or_else(|| Ok(Vec::new()), |body| self.nodes(body))?;
        Ok(match name {
            "each" => Node::Each { list: test, body, otherwise },
            "if" => Node::If { test, then: body, otherwise },
            _ => Node::If { test, then: otherwise, otherwise: body },
        })
    }

    /// `{{ name }}`, `{{ helper args }}` and the same in parentheses.
    fn call(&mut self, helper: &HelperTemplate) -> Result<Expr, TemplateError> {
        if helper.params.is_empty() && helper.hash.is_empty() {
            return self.expr(&helper.name);
        }
        let name = helper.name.as_name().unwrap_or_default();
        let range = self.place(name);
        let Some(known) = helpers::find(name) else {
            return Err(TemplateError::new(format!("unknown helper `{name}`"))
                .at(range)
                .help(format!("helpers are {}", HELPERS.join(", "))));
        };
        if !helper.hash.is_empty() {
            return Err(TemplateError::new(format!("helper `{name}` takes no named arguments")).at(range));
        }
        if helper.params.len() < known.fewest || helper.params.len() > known.most {
            let takes = match (known.fewest, known.most) {
                (1, 1) => "one argument".to_owned(),
                (fewest, most) if fewest == most => format!("{fewest} arguments"),
                (fewest, _) => format!("{fewest} arguments or more"),
            };
            return Err(TemplateError::new(format!("helper `{name}` takes {takes}, it has {}", helper.params.len())).at(range));
        }
        let args = helper.params.iter().map(|param| self.expr(param)).collect::<Result<_, _>>()?;
        Ok(Expr::Call(known, args))
    }

    fn expr(&mut self, param: &Parameter) -> Result<Expr, TemplateError> {
        match param {
            Parameter::Literal(value) => Ok(Expr::Literal(value.clone())),
            Parameter::Path(path) => self.path(path),
            Parameter::Subexpression(sub) => match sub.as_element() {
                TemplateElement::Expression(helper) => self.call(helper),
                _ => Err(self.refused("template is not well formed")),
            },
            _ => Err(self.refused("template is not well formed")),
        }
    }

    fn path(&mut self, path: &Path) -> Result<Expr, TemplateError> {
        match path {
            Path::Local((level, name, raw)) => {
                let range = self.place(raw);
                let what = match name.as_str() {
                    "index" => LoopVar::Index,
                    "key" => LoopVar::Key,
                    "first" => LoopVar::First,
                    "last" => LoopVar::Last,
                    _ => return Err(unknown_local(raw, range)),
                };
                let depth = self.frames.len().checked_sub(level + 1).ok_or_else(|| unknown_local(raw, range))?;
                Ok(Expr::Loop { depth, what })
            }
            Path::Relative((segments, raw)) => {
                let range = self.place(raw);
                let names: Vec<String> = segments
                    .iter()
                    .filter_map(|segment| match segment {
                        PathSeg::Named(name) => Some(name.clone()),
                        _ => None,
                    })
                    .collect();
                self.relative(names, raw, range)
            }
        }
    }

    fn relative(&mut self, mut names: Vec<String>, raw: &str, range: Range<usize>) -> Result<Expr, TemplateError> {
        let this = raw == "this" || raw.starts_with("this.") || raw.starts_with("this/") || raw.starts_with("./");
        if this {
            let Some(depth) = self.frames.len().checked_sub(1) else {
                return Err(TemplateError::new("`this` is known only inside `{{#each}}`").at(range));
            };
            return Ok(Expr::Item { depth, path: names });
        }
        if names.is_empty() {
            return Err(TemplateError::new(format!("`{raw}` is not a name")).at(range));
        }
        for (depth, frame) in self.frames.iter().enumerate().rev() {
            if frame.item.as_ref() == Some(&names[0]) {
                names.remove(0);
                return Ok(Expr::Item { depth, path: names });
            }
            if names.len() == 1 && frame.key.as_ref() == Some(&names[0]) {
                return Ok(Expr::Loop { depth, what: LoopVar::Key });
            }
        }
        let reference = Reference { path: names, range };
        self.references.push(reference.clone());
        Ok(Expr::Ref(reference))
    }

    /// The place of the next word that reads so; the tree is walked in the order of the text.
    fn place(&mut self, raw: &str) -> Range<usize> {
        let words = &self.scan.words;
        match (self.word..words.len()).find(|at| &self.text[words[*at].clone()] == raw) {
            Some(at) => {
                self.word = at + 1;
                words[at].clone()
            }
            None => self.here(),
        }
    }

    /// The tag that the walk has come to.
    fn here(&self) -> Range<usize> {
        let from = self.word.checked_sub(1).and_then(|at| self.scan.words.get(at)).map_or(0, |word| word.end);
        let tags = &self.scan.tags;
        tags.iter().find(|tag| tag.end > from).or(tags.last()).cloned().unwrap_or(0..self.text.len())
    }

    fn refused(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::new(message).at(self.here())
    }
}

fn unknown_local(raw: &str, range: Range<usize>) -> TemplateError {
    TemplateError::new(format!("unknown name `{raw}`")).at(range).help("inside `{{#each}}` there are `@index`, `@key`, `@first`, `@last`")
}

fn frame(block_param: Option<&BlockParam>) -> Frame {
    let name = |param: &Parameter| param.as_name().map(str::to_owned);
    match block_param {
        Some(BlockParam::Single(item)) => Frame { item: name(item), key: None },
        Some(BlockParam::Pair((item, key))) => Frame { item: name(item), key: name(key) },
        _ => Frame::default(),
    }
}
