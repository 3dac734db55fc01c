//! The rules. Each takes the house and answers with what is wrong, one line a finding, the place first.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Meta, Signature, TraitItemFn};

use super::imports::Import;
use super::table::Table;
use super::tree::{Files, Source, Tree};

const MAX_FILE: usize = 500;
const MAX_FUNCTION: usize = 80;

/// Crates that only files beginning with that path may name.
const OWNED: [(&str, &str); 2] = [("bollard", "steps/world/real/docker"), ("rusqlite", "src/journal/sqlite")];

/// Imports that the table does not allow.
pub fn forbidden_imports(table: &Table, imports: &[Import]) -> Vec<String> {
    let forbidden = imports.iter().filter(|import| !table.allows(&import.from, &import.target));
    let findings: BTreeSet<String> = forbidden
        .map(|import| {
            let owner = table.owner(&import.from).unwrap_or_default();
            format!("{}: `{}` must not import `{}`", import.place, owner[1..].join("::"), import.target.join("::"))
        })
        .collect();
    findings.into_iter().collect()
}

/// Modules of the two crates that no row is about.
pub fn modules_without_row(tree: &Tree, table: &Table) -> Vec<String> {
    let sources = tree.sources.iter().filter(|source| !source.test && source.module.len() > 1);
    let missing = sources.filter(|source| table.owner(&source.module).is_none());
    missing.map(|source| format!("{}:1: `{}` has no row in docs/architecture.md", source.path, source.module[1])).collect()
}

/// Circles among the top-level modules of a crate.
pub fn cycles(tree: &Tree, imports: &[Import]) -> Vec<String> {
    let mut edges: BTreeMap<&[String], BTreeMap<&[String], &str>> = BTreeMap::new();
    for import in imports {
        let (Some(from), Some(to)) = (import.from.get(..2), import.target.get(..2)) else { continue };
        if from != to && from[0] == to[0] && tree.modules.contains(to) {
            edges.entry(from).or_default().entry(to).or_insert(&import.place);
        }
    }
    let mut findings = Vec::new();
    let mut settled = BTreeSet::new();
    for start in edges.keys() {
        let mut path = Vec::new();
        follow(&edges, start, &mut path, &mut settled, &mut findings);
    }
    findings
}

type Edges<'a> = BTreeMap<&'a [String], BTreeMap<&'a [String], &'a str>>;

fn follow<'a>(
    edges: &Edges<'a>,
    module: &'a [String],
    path: &mut Vec<(&'a [String], &'a str)>,
    settled: &mut BTreeSet<&'a [String]>,
    findings: &mut Vec<String>,
) {
    if settled.contains(module) {
        return;
    }
    for (next, place) in edges.get(module).into_iter().flatten() {
        path.push((module, place));
        if let Some(begin) = path.iter().position(|(on_path, _)| on_path == next) {
            let circle: Vec<String> = path[begin..].iter().map(|(from, at)| format!("`{}` ({at})", from[1])).collect();
            findings.push(format!("{} → `{}`: a circle", circle.join(" → "), next[1]));
        } else {
            follow(edges, next, path, settled, findings);
        }
        path.pop();
    }
    settled.insert(module);
}

/// Files that are too long to be read in one go.
pub fn long_files(tree: &Tree) -> Vec<String> {
    let lengths = tree.sources.iter().map(|source| (source, source.text.lines().count()));
    let long = lengths.filter(|(_, length)| *length > MAX_FILE);
    long.map(|(source, length)| format!("{}: {length} lines, at most {MAX_FILE}", source.path)).collect()
}

/// Functions that are too long to be read in one go.
pub fn long_functions(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let mut lengths = Lengths { path: &source.path, findings: &mut findings };
        lengths.visit_file(&source.ast);
    }
    findings
}

struct Lengths<'a> {
    path: &'a str,
    findings: &'a mut Vec<String>,
}

impl Lengths<'_> {
    fn measure(&mut self, signature: &Signature, block: &Block) {
        let start = signature.fn_token.span.start().line;
        let length = block.brace_token.span.close().end().line - start + 1;
        if length > MAX_FUNCTION {
            let (path, name) = (self.path, &signature.ident);
            self.findings.push(format!("{path}:{start}: `{name}` has {length} lines, at most {MAX_FUNCTION}"));
        }
    }
}

impl<'ast> Visit<'ast> for Lengths<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// Crates that one file is meant to hide, named in another.
pub fn leaked_crates(imports: &[Import]) -> Vec<String> {
    let leaks = imports.iter().flat_map(|import| OWNED.map(|(name, owner)| (import, name, owner)));
    let leaks = leaks.filter(|(import, name, owner)| import.target[0] == *name && !import.place.starts_with(owner));
    leaks.map(|(import, name, owner)| format!("{}: only `{owner}*` may name `{name}`", import.place)).collect()
}

/// Unfinished work, and lints or tests that were switched off.
pub fn unfinished(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    // Not written in one piece, or this file would be the first finding.
    let mark = ["FIX", "ME"].concat();
    for source in &tree.sources {
        let marked = source.text.lines().enumerate().filter(|(_, line)| line.contains(&mark));
        findings.extend(marked.map(|(index, _)| format!("{}:{}: `{mark}`", source.path, index + 1)));
        each_token(tokens_of(source), &mut |tokens| match tokens {
            [TokenTree::Ident(name), TokenTree::Punct(bang), TokenTree::Group(_), ..]
                if bang.as_char() == '!' && ["todo", "unimplemented", "dbg"].iter().any(|word| name == word) =>
            {
                findings.push(format!("{}: `{name}!`", place(source, &tokens[0])));
            }
            [TokenTree::Punct(hash), rest @ ..] if hash.as_char() == '#' => {
                let ([TokenTree::Group(group), ..] | [TokenTree::Punct(_), TokenTree::Group(group), ..]) = rest else { return };
                let words = group.stream().to_string();
                let banned = ["allow", "ignore"].into_iter().find(|word| is_attribute(&words, word));
                findings.extend(banned.map(|word| format!("{}: `#[{word}]`", place(source, &tokens[0]))));
            }
            _ => {}
        });
    }
    findings
}

/// Whether the inside of `#[…]` is that attribute, also behind a `cfg_attr`.
fn is_attribute(words: &str, attribute: &str) -> bool {
    let is = |words: &str| words.trim_start().strip_prefix(attribute).is_some_and(|rest| !rest.starts_with(is_name_char));
    is(words) || (words.starts_with("cfg_attr") && words.split_once(',').is_some_and(|(_, rest)| is(rest)))
}

fn is_name_char(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Files that do not say what they are for.
pub fn undocumented(tree: &Tree) -> Vec<String> {
    let silent = tree.sources.iter().filter(|source| {
        !source.ast.attrs.iter().any(|attribute| matches!(&attribute.meta, Meta::NameValue(meta) if meta.path.is_ident("doc")))
    });
    silent.map(|source| format!("{}:1: no `//!` that says what the file is for", source.path)).collect()
}

/// Files that no `mod` reaches: they look like tests or code, and are neither.
pub fn orphans(tree: &Tree) -> Vec<String> {
    tree.orphans.iter().map(|path| format!("{path}:1: no `mod` declaration reaches this file")).collect()
}

/// Reads the tables, with the names of crates taken from `Cargo.toml`.
pub fn read_table(files: &Files) -> Table {
    let manifest = &files["Cargo.toml"];
    let knows_crate = |name: &str| {
        let starts = |line: &str| {
            let key = line.split(['.', ' ', '=']).next().unwrap_or_default();
            key.replace('-', "_") == name
        };
        manifest.lines().any(starts)
    };
    match Table::parse(&files["docs/architecture.md"], knows_crate) {
        Ok(table) => table,
        Err(error) => panic!("docs/architecture.md: {error}"),
    }
}

fn tokens_of(source: &Source) -> TokenStream {
    source.text.parse().expect("the same text was parsed as a file before")
}

/// Calls `look` with the tokens from every position on, groups from within as well.
fn each_token(tokens: TokenStream, look: &mut impl FnMut(&[TokenTree])) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for at in 0..tokens.len() {
        look(&tokens[at..]);
        if let TokenTree::Group(group) = &tokens[at] {
            each_token(group.stream(), look);
        }
    }
}

fn place(source: &Source, token: &TokenTree) -> String {
    format!("{}:{}", source.path, token.span().start().line)
}
