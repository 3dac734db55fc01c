//! What changes between two compose files, told by service: what goes comes first, since that is what breaks a stack.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::split_mount;
use super::yaml::{self, Node};
use crate::dotenv::is_secret;

/// The longest diff in lines that [`unified`] gives, and the longest files it compares.
const SHOWN: usize = 400;
const COMPARED: usize = 20_000;

/// How something differs; in the order in which differences are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// Only the old file has it.
    Removed,
    /// Both have it, and it is another.
    Changed,
    /// Only the new file has it.
    Added,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// How it differs.
    pub kind: DifferenceKind,
    /// What it is: "mount `/data` of service `web`". Values of the environment are not told.
    pub what: String,
}

/// `- service web`, `~ image of service web …`, `+ port 80:80 of service web`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            DifferenceKind::Removed => '-',
            DifferenceKind::Changed => '~',
            DifferenceKind::Added => '+',
        };
        write!(f, "{sign} {}", self.what)
    }
}

/// What kind of thing a fact is about; in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Service,
    Volume,
    Network,
    Mount,
    Variable,
    Port,
    Restart,
    Security,
    Other,
}

/// Something a file says. The service it is about, none for what is at the top.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    topic: Topic,
    service: Option<String>,
    name: String,
}

type Facts = BTreeMap<Fact, String>;

/// What changes from `old` to `new`, removals first. An old file that cannot be read is one difference.
pub fn differences(old: &str, new: &str) -> Vec<Difference> {
    between(yaml::read(old).as_ref(), yaml::read(new).as_ref())
}

/// The same of two files that were read, or why they could not be.
pub(super) fn between(old: Result<&Node, &String>, new: Result<&Node, &String>) -> Vec<Difference> {
    let all = |which: &str, why: &String| {
        vec![Difference { kind: DifferenceKind::Changed, what: format!("all of it: the {which} file is not sound YAML: {why}") }]
    };
    let (old, new) = match (old, new) {
        (Ok(old), Ok(new)) => (facts(old), facts(new)),
        (Err(why), _) => return all("old", why),
        (_, Err(why)) => return all("new", why),
    };
    let services = |facts: &Facts| -> BTreeSet<String> {
        facts.keys().filter(|fact| fact.topic == Topic::Service).map(|fact| fact.name.clone()).collect()
    };
    let (before, after) = (services(&old), services(&new));
    // Of a service that comes or goes, that is all there is to tell.
    let told = |fact: &Fact| fact.service.as_ref().is_none_or(|service| before.contains(service) && after.contains(service));
    let mut found = Vec::new();
    let mut tell = |kind, fact: &Fact, values: Option<(&str, &str)>| {
        if told(fact) {
            found.push(Difference { kind, what: describe(fact, values) });
        }
    };
    old.keys().filter(|fact| !new.contains_key(fact)).for_each(|fact| tell(DifferenceKind::Removed, fact, None));
    for (fact, value) in &old {
        if let Some(now) = new.get(fact).filter(|now| *now != value) {
            tell(DifferenceKind::Changed, fact, Some((value, now)));
        }
    }
    new.keys().filter(|fact| !old.contains_key(fact)).for_each(|fact| tell(DifferenceKind::Added, fact, None));
    found
}

fn describe(fact: &Fact, values: Option<(&str, &str)>) -> String {
    let of = fact.service.as_ref().map(|service| format!(" of service `{service}`")).unwrap_or_default();
    let name = &fact.name;
    let what = match fact.topic {
        Topic::Service => format!("service `{name}`"),
        Topic::Volume => format!("volume `{name}`"),
        Topic::Network => format!("network `{name}`"),
        Topic::Mount => format!("mount `{name}`"),
        Topic::Variable => format!("environment key `{name}`"),
        Topic::Port => format!("port `{name}`"),
        Topic::Security => format!("security option `{name}`"),
        Topic::Restart | Topic::Other => format!("`{name}`"),
    };
    let shown = match values {
        Some((old, new)) if fact.topic != Topic::Variable && !is_secret(name) => format!(": {} instead of {}", short(new), short(old)),
        _ => String::new(),
    };
    format!("{what}{of}{shown}")
}

fn short(value: &str) -> String {
    match value.char_indices().nth(80) {
        Some((end, _)) => format!("`{}…`", &value[..end]),
        None if value.is_empty() => "nothing".to_owned(),
        None => format!("`{value}`"),
    }
}

fn facts(document: &Node) -> Facts {
    let mut facts = Facts::new();
    for entry in document.entries() {
        let topic = match entry.key.as_str() {
            "services" => {
                for service in entry.value.entries() {
                    facts.insert(Fact { topic: Topic::Service, service: None, name: service.key.clone() }, String::new());
                    of_service(&service.key, &service.value, &mut facts);
                }
                continue;
            }
            "volumes" => Topic::Volume,
            "networks" => Topic::Network,
            // What is shared shows where it is used.
            key if key.starts_with("x-") || key == "version" => continue,
            key => {
                facts.insert(Fact { topic: Topic::Other, service: None, name: key.to_owned() }, entry.value.to_string());
                continue;
            }
        };
        for one in entry.value.entries() {
            facts.insert(Fact { topic, service: None, name: one.key.clone() }, one.value.to_string());
        }
    }
    facts
}

fn of_service(service: &str, config: &Node, facts: &mut Facts) {
    let mut add = |topic, name: String, value: String| {
        facts.insert(Fact { topic, service: Some(service.to_owned()), name }, value);
    };
    for entry in config.entries() {
        let (key, value) = (entry.key.as_str(), &entry.value);
        match key {
            "volumes" => {
                for mount in value.items() {
                    let (target, rest) = mount_parts(mount);
                    add(Topic::Mount, target, rest);
                }
            }
            "environment" => pairs(value).into_iter().for_each(|(key, value)| add(Topic::Variable, key, value)),
            "ports" => value.items().iter().for_each(|port| add(Topic::Port, port.to_string(), String::new())),
            "security_opt" => value.items().iter().for_each(|option| add(Topic::Security, option.to_string(), String::new())),
            "restart" => add(Topic::Restart, key.to_owned(), value.to_string()),
            "labels" => pairs(value).into_iter().for_each(|(name, value)| add(Topic::Other, format!("labels.{name}"), value)),
            "depends_on" | "networks" | "profiles" | "cap_add" | "cap_drop" | "devices" | "env_file" | "secrets" | "configs" => match value
            {
                Node::Table(entries) => {
                    for one in entries {
                        add(Topic::Other, format!("{key}.{}", one.key), one.value.to_string());
                    }
                }
                Node::List(items) => items.iter().for_each(|one| add(Topic::Other, format!("{key}.{one}"), String::new())),
                _ => add(Topic::Other, key.to_owned(), value.to_string()),
            },
            "build" | "healthcheck" | "deploy" | "logging" if !value.entries().is_empty() => {
                value.entries().iter().for_each(|one| add(Topic::Other, format!("{key}.{}", one.key), one.value.to_string()));
            }
            _ => add(Topic::Other, key.to_owned(), value.to_string()),
        }
    }
}

/// Where a mount is, and what is there.
fn mount_parts(mount: &Node) -> (String, String) {
    match mount {
        Node::Text(text) => match split_mount(text) {
            None => (text.clone(), String::new()),
            Some((source, rest)) => {
                let (target, options) = split_mount(rest).unwrap_or((rest, ""));
                let options = if matches!(options, "" | "rw") { String::new() } else { format!(" ({options})") };
                (target.to_owned(), format!("{source}{options}"))
            }
        },
        other => {
            let text = |key: &str| other.get(key).and_then(Node::text).unwrap_or_default();
            let options = if text("read_only") == "true" { " (ro)" } else { "" };
            (text("target").to_owned(), format!("{}{options}", text("source")))
        }
    }
}

/// `KEY: value` and `- KEY=value` alike.
fn pairs(node: &Node) -> Vec<(String, String)> {
    match node {
        Node::Table(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.to_string())).collect(),
        Node::List(items) => items
            .iter()
            .filter_map(Node::text)
            .map(|text| text.split_once('=').map_or((text.to_owned(), String::new()), |(key, value)| (key.to_owned(), value.to_owned())))
            .collect(),
        _ => Vec::new(),
    }
}

/// A unified diff of two files in which values of keys that look like secrets are masked; cut where it is long, empty where the
/// files are too long to compare or do not differ.
pub fn unified(old: &str, new: &str) -> String {
    if old.lines().count() + new.lines().count() > COMPARED {
        return String::new();
    }
    let (old, new) = (masked(old), masked(new));
    let diff = similar::TextDiff::from_lines(&old, &new).unified_diff().context_radius(3).to_string();
    let lines = diff.lines().count();
    if lines <= SHOWN {
        return diff;
    }
    let kept: String = diff.split_inclusive('\n').take(SHOWN).collect();
    format!("{kept}… and {} more lines\n", lines - SHOWN)
}

/// The text without values that look like secrets and are written out.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let start = line.len() - line.trim_start_matches([' ', '-', '"', '\'']).len();
        let at = line[start..].find([':', '=']).map(|at| start + at);
        match at.map(|at| (line[start..at].trim_matches(['"', '\'', ' ']), line[at + 1..].trim())) {
            Some((key, value)) if is_secret(key) && !value.is_empty() && !value.trim_matches(['"', '\'']).starts_with('$') => {
                masked.push_str(&line[..=at.unwrap_or_default()]);
                masked.push_str(" (not shown)\n");
            }
            _ => masked.push_str(line),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        differences(old, new).iter().map(ToString::to_string).collect()
    }

    const OLD: &str = "
services:
  web:
    image: web:1
    restart: always
    environment: [A=1, TOKEN=hush, GONE=1]
    ports: ['80:80']
    security_opt: [apparmor=unconfined]
    volumes: [data:/data, './x:/x:ro']
  old: {image: old}
volumes: {data: , legacy: }
";

    #[test]
    fn removals_come_first_and_secrets_are_not_told() {
        let new = "
services:
  web:
    image: web:2
    environment: {A: '1', TOKEN: other, NEW: 1}
    volumes: [other:/data]
  new: {image: new}
volumes: {data: , other: }
";
        let expected = [
            "- service `old`",
            "- volume `legacy`",
            "- mount `/x` of service `web`",
            "- environment key `GONE` of service `web`",
            "- port `80:80` of service `web`",
            "- `restart` of service `web`",
            "- security option `apparmor=unconfined` of service `web`",
            "~ mount `/data` of service `web`: `other` instead of `data`",
            "~ environment key `TOKEN` of service `web`",
            "~ `image` of service `web`: `web:2` instead of `web:1`",
            "+ service `new`",
            "+ volume `other`",
            "+ environment key `NEW` of service `web`",
        ];
        assert_eq!(told(OLD, new), expected);
        assert!(told(OLD, OLD).is_empty());
    }

    #[test]
    fn two_ways_to_write_the_same_are_no_difference() {
        let long = "
services:
  web:
    image: web:1
    restart: always
    environment: {A: 1, TOKEN: hush, GONE: 1}
    ports: ['80:80']
    security_opt: [apparmor=unconfined]
    volumes:
    - {type: volume, source: data, target: /data}
    - {type: bind, source: ./x, target: /x, read_only: true}
  old: {image: old}
volumes: {data: {}, legacy: {}}
";
        assert!(told(OLD, long).is_empty(), "{:?}", told(OLD, long));
    }

    #[test]
    fn a_diff_masks_secrets_that_are_written_out_and_is_cut() {
        let diff = unified("a: 1\n  API_TOKEN: hush\n- DB_PASS=hush\nX_KEY: ${X_KEY:-}\n", "a: 2\n");
        assert!(!diff.contains("hush"), "{diff}");
        assert!(diff.contains("-  API_TOKEN: (not shown)\n") && diff.contains("-X_KEY: ${X_KEY:-}\n"), "{diff}");
        let long: String = (0..1000).fold(String::new(), |text, n| text + &format!("{n}\n"));
        assert!(unified("", &long).ends_with("more lines\n"));
    }

    #[test]
    fn an_old_file_that_is_broken_is_one_difference() {
        let found = told("a: [", OLD);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("~ all of it: the old file is not sound YAML: line "), "{found:?}");
    }
}
