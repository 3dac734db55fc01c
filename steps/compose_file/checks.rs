//! Whether what was made holds together: names are there once, and what a service uses is declared.

use std::collections::{BTreeMap, BTreeSet};

use super::data::Data;
use super::helpers::ORIGIN;
use super::keys::{Key, keys_in};
use super::yaml::{Entry, Node};
use super::{Origin, RenderError};

/// A service of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Name of its container, where the file gives one.
    pub container: Option<String>,
    /// Its image as it is written, with what compose will fill in.
    pub image: Option<String>,
    /// The table it was made of, where the template says so.
    pub origin: Option<Origin>,
    /// The profiles without which it does not start.
    pub profiles: Vec<String>,
    /// Names of the variables that it uses.
    pub keys: Vec<String>,
}

/// What a file declares.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub services: Vec<Service>,
    pub volumes: Vec<String>,
    pub networks: Vec<String>,
    pub keys: Vec<Key>,
}

/// A section of the file whose names are compared.
struct Section<'a> {
    entries: &'a [Entry],
    /// Line after its last one.
    end: usize,
}

struct Checker<'a> {
    template: &'a str,
    document: &'a Node,
    /// Comments of `origin` by line.
    origins: BTreeMap<usize, Origin>,
}

/// Checks a document and lists what it declares. `body` is its text.
pub(super) fn check(template: &str, body: &str, document: &Node, data: &Data) -> Result<Found, RenderError> {
    let checker = Checker { template, document, origins: origins(body, data) };
    let Node::Table(top) = document else {
        return Err(RenderError::new(format!("`{template}` renders to no table: a compose file has `services`")));
    };
    let services = checker.section("services");
    if services.entries.is_empty() {
        return Err(RenderError::new(format!("`{template}` renders to a file without services")));
    }
    for (name, what) in [("services", "service"), ("volumes", "volume"), ("networks", "network")] {
        checker.names_once(&checker.section(name), what)?;
    }
    checker.keys_once(top, "the file")?;
    checker.containers_once(&services)?;
    let declared = |name| checker.section(name).entries.iter().map(|entry| entry.key.as_str()).collect();
    let declared: Declared<'_> = ["services", "volumes", "networks", "secrets", "configs"].map(|name| (name, declared(name))).into();
    for service in services.entries {
        references(service, &declared).map_err(|what| {
            let origin = checker.of(&services, service).map(|origin| format!(", made of {origin},")).unwrap_or_default();
            RenderError::new(format!("`{template}`: service `{}`{origin} {what}", service.key))
        })?;
    }
    let names = |section: &str| checker.section(section).entries.iter().map(|entry| entry.key.clone()).collect();
    let mut found = Found { volumes: names("volumes"), networks: names("networks"), ..Found::default() };
    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    for service in services.entries {
        found.services.push(checker.describe(&services, service, &mut keys));
    }
    for entry in top.iter().filter(|entry| entry.key != "services" && !entry.key.starts_with("x-")) {
        gather(&entry.value, None, &mut keys);
    }
    found.keys = keys.into_values().collect();
    Ok(found)
}

/// The comments that `origin` made, by line from 1.
fn origins(body: &str, data: &Data) -> BTreeMap<usize, Origin> {
    let mut found = BTreeMap::new();
    for (index, line) in body.lines().enumerate() {
        let Some(said) = line.trim_start().strip_prefix(ORIGIN) else { continue };
        if let Some((file, table)) = said.trim_end().strip_suffix(']').and_then(|said| said.split_once(" [")) {
            let (line, table) = data.table_named(file, table);
            found.insert(index + 1, Origin { file: file.to_owned(), table, line });
        }
    }
    found
}

impl<'a> Checker<'a> {
    fn section(&self, name: &str) -> Section<'a> {
        let top = self.document.entries();
        let at = top.iter().position(|entry| entry.key == name);
        let entries = at.map_or(&[][..], |at| top[at].value.entries());
        let end = at.and_then(|at| top.get(at + 1)).map_or(usize::MAX, |next| next.line);
        Section { entries, end }
    }

    /// The origin that stands within an entry of a section.
    fn of(&self, section: &Section<'_>, entry: &Entry) -> Option<&Origin> {
        let end = section.entries.iter().map(|other| other.line).filter(|line| *line > entry.line).min().unwrap_or(section.end);
        self.origins.range(entry.line..end).next().map(|(_, origin)| origin)
    }

    fn by(&self, section: &Section<'_>, entry: &Entry) -> String {
        match self.of(section, entry) {
            Some(origin) => origin.to_string(),
            None => format!("`{}` itself (line {} of what it renders)", self.template, entry.line),
        }
    }

    fn names_once(&self, section: &Section<'_>, what: &str) -> Result<(), RenderError> {
        let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in section.entries {
            if let Some(first) = seen.insert(&entry.key, entry) {
                let users = if what == "volume" { self.users(&entry.key) } else { Vec::new() };
                let (one, other) = match users.as_slice() {
                    [one, other, ..] => (one.clone(), other.clone()),
                    _ => (self.by(section, first), self.by(section, entry)),
                };
                return Err(self.twice(&format!("{what} `{}`", entry.key), &one, &other));
            }
        }
        Ok(())
    }

    /// What the services were made of that mount a volume.
    fn users(&self, volume: &str) -> Vec<String> {
        let services = self.section("services");
        let mounts = |service: &&Entry| {
            let mounts = service.value.get("volumes").map(Node::items).unwrap_or_default();
            mounts.iter().any(|mount| named_volume(mount).is_ok_and(|name| name == Some(volume)))
        };
        services.entries.iter().filter(mounts).filter_map(|service| self.of(&services, service)).map(ToString::to_string).collect()
    }

    fn twice(&self, what: &str, one: &str, other: &str) -> RenderError {
        RenderError::new(format!("{what} is made twice: by {one} and by {other}")).hint("rename one of the two")
    }

    /// Keys that are there twice in any table below.
    fn keys_once(&self, entries: &[Entry], place: &str) -> Result<(), RenderError> {
        let mut seen = BTreeMap::new();
        for entry in entries {
            if let Some(first) = seen.insert(entry.key.as_str(), entry.line) {
                return Err(RenderError::new(format!(
                    "`{}`: `{}` is there twice in {place}, on lines {first} and {} of what it renders",
                    self.template, entry.key, entry.line
                )));
            }
            let below = format!("`{}`", entry.key);
            let tables = std::iter::once(&entry.value).chain(entry.value.items());
            tables.map(Node::entries).try_for_each(|entries| self.keys_once(entries, &below))?;
        }
        Ok(())
    }

    fn containers_once(&self, services: &Section<'_>) -> Result<(), RenderError> {
        let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
        for service in services.entries {
            let Some(name) = service.value.get("container_name").and_then(Node::text) else { continue };
            if let Some(first) = seen.insert(name, service) {
                return Err(self.twice(&format!("container `{name}`"), &self.by(services, first), &self.by(services, service)));
            }
        }
        Ok(())
    }

    fn describe(&self, services: &Section<'_>, service: &Entry, keys: &mut BTreeMap<String, Key>) -> Service {
        let text = |key: &str| service.value.get(key).and_then(Node::text).map(str::to_owned);
        let profiles = service.value.get("profiles").map(Node::names).unwrap_or_default();
        Service {
            name: service.key.clone(),
            container: text("container_name"),
            image: text("image"),
            origin: self.of(services, service).cloned(),
            profiles: profiles.into_iter().map(str::to_owned).collect(),
            keys: gather(&service.value, Some(&service.key), keys),
        }
    }
}

/// Names by section.
type Declared<'a> = BTreeMap<&'static str, BTreeSet<&'a str>>;

/// What a service uses is declared.
fn references(service: &Entry, declared: &Declared<'_>) -> Result<(), String> {
    let names = |key: &str| service.value.get(key).map(Node::names).unwrap_or_default();
    for mount in service.value.get("volumes").map(Node::items).unwrap_or_default() {
        if let Some(name) = named_volume(mount)?.filter(|name| !declared["volumes"].contains(name)) {
            return Err(format!("mounts volume `{name}`, which is not declared under `volumes`"));
        }
    }
    for (section, what) in [("networks", "network"), ("secrets", "secret"), ("configs", "config")] {
        let known = |name: &&str| declared[section].contains(name) || name.contains('$') || (section == "networks" && *name == "default");
        if let Some(name) = names(section).into_iter().find(|name| !known(name)) {
            return Err(format!("uses {what} `{name}`, which is not declared under `{section}`"));
        }
    }
    let network = service.value.get("network_mode").and_then(Node::text).and_then(|mode| mode.strip_prefix("service:"));
    for name in names("depends_on").into_iter().chain(network) {
        if name == service.key {
            return Err("depends on itself".to_owned());
        }
        if !declared["services"].contains(name) {
            return Err(format!("depends on service `{name}`, which is not there"));
        }
    }
    Ok(())
}

/// The named volume that a mount uses.
fn named_volume(mount: &Node) -> Result<Option<&str>, String> {
    let source = match mount {
        Node::Text(text) => {
            let Some((source, _)) = split_mount(text) else { return Ok(None) };
            if source.len() == 1 && source.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Err(format!("mounts `{text}`: compose takes a volume name of one letter for a drive; give it a longer one"));
            }
            source
        }
        Node::Table(_) if matches!(mount.get("type").and_then(Node::text), None | Some("volume")) => {
            let Some(source) = mount.get("source").and_then(Node::text) else { return Ok(None) };
            source
        }
        _ => return Ok(None),
    };
    let is_name = source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    Ok(is_name.then_some(source))
}

/// Source and the rest of a short mount; colons within `${…}` do not count.
pub(super) fn split_mount(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Adds the variables in a value to `keys`, and gives their names.
fn gather(node: &Node, service: Option<&str>, keys: &mut BTreeMap<String, Key>) -> Vec<String> {
    let mut found = Vec::new();
    texts(node, &mut |text| found.extend(keys_in(text)));
    let mut names = Vec::new();
    for key in found {
        let known = keys.entry(key.name.clone()).or_insert_with(|| Key { required: false, default: None, ..key.clone() });
        known.required |= key.required;
        known.default = known.default.take().or(key.default);
        if let Some(service) = service.filter(|service| known.services.last().is_none_or(|last| last != service)) {
            known.services.push(service.to_owned());
        }
        if !names.contains(&key.name) {
            names.push(key.name);
        }
    }
    names
}

fn texts(node: &Node, each: &mut impl FnMut(&str)) {
    match node {
        Node::Null => {}
        Node::Text(text) => each(text),
        Node::List(items) => items.iter().for_each(|item| texts(item, each)),
        Node::Table(entries) => entries.iter().for_each(|entry| texts(&entry.value, each)),
    }
}
