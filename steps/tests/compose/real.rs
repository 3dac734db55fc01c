//! What docker compose itself says of what the shipped template renders to.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use formula_steps::compose_file::Inputs;
use formula_steps::world::real::{RealCompose, RealProcess};
use formula_steps::world::{Compose as _, ComposeFile, ComposeService};
use serde_json::json;

use super::*;
use crate::support::program_answers;

/// The services as compose resolves them, those of all profiles too.
async fn resolved(rendered: &Rendered) -> BTreeMap<String, ComposeService> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("docker-compose.yml"), &rendered.text).unwrap();
    fs::write(folder.path().join(".env"), "DISINTO_VERSION=v0.3.0\n").unwrap();
    let file = ComposeFile {
        dir: folder.path().to_owned(),
        file: folder.path().join("docker-compose.yml"),
        project: Some("box".to_owned()),
        env_file: None,
        profiles: vec!["vault".to_owned(), "staging".to_owned()],
        env: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
    };
    let compose = RealCompose::new(Arc::new(RealProcess::new()), BTreeMap::new());
    let (_, services) = compose.config(&file).await.unwrap_or_else(|error| panic!("{error}\n{}", rendered.text));
    // Where it lies is part of the hash, by mounts relative to it.
    let home = folder.path().to_string_lossy().into_owned();
    let plain = |mut service: ComposeService| {
        service.config = serde_json::from_str(&service.config.to_string().replace(&home, "/box")).unwrap();
        (service.name.clone(), service)
    };
    services.into_iter().map(plain).collect()
}

fn no_compose(test: &str) -> bool {
    !program_answers(test, "docker", &["compose", "version"])
}

#[tokio::test]
async fn c05_compose_takes_the_base_services_as_they_are() {
    if no_compose("c05_compose_takes_the_base_services_as_they_are") {
        return;
    }
    let rendered = shipped(&[("projects/harb.toml", HARB)]);
    let services = resolved(&rendered).await;
    assert_eq!(services.len(), rendered.services.len());
    let agents = &services["agents"];
    assert_eq!(agents.image.as_deref(), Some("ghcr.io/disinto/agents:v0.3.0"));
    assert_eq!(agents.config["environment"]["DISINTO_VERSION"], json!("v0.3.0"));
    assert_eq!(agents.config["environment"]["CLAUDE_CONFIG_DIR"], json!("/var/lib/disinto/claude-shared/config"));
    assert_eq!(agents.config["restart"], json!("unless-stopped"));
    let mounts: Vec<_> = agents.config["volumes"].as_array().unwrap().iter().map(|mount| mount["target"].as_str().unwrap()).collect();
    assert!(mounts.contains(&"/home/agent/.ssh") && mounts.contains(&"/var/lib/disinto/claude-shared"), "{mounts:?}");
    for (name, service) in &services {
        let env = service.config["environment"].as_object();
        assert!(env.is_none_or(|env| env.keys().all(|key| !key.is_empty() && !key.ends_with('_'))), "{name}: {env:?}");
        assert_eq!(service.config["security_opt"], json!(["apparmor=unconfined"]), "{name}");
    }
}

#[tokio::test]
async fn c04_compose_builds_what_is_ours_in_build_mode() {
    if no_compose("c04_compose_builds_what_is_ours_in_build_mode") {
        return;
    }
    let files = [("projects/harb.toml", &*harb(&agent("dev", "dev-qwen")))];
    let services = resolved(&try_shipped(&files, Mode::Build).unwrap()).await;
    let built: Vec<_> =
        services.values().filter(|service| !service.config["build"].is_null()).map(|service| service.name.as_str()).collect();
    assert_eq!(built, ["agents", "agents-dev", "edge", "runner"]);
    assert!(built.iter().all(|name| services[*name].config["pull_policy"] == json!("build")));
}

#[tokio::test]
async fn c10_another_agent_changes_no_other_services_hash() {
    if no_compose("c10_another_agent_changes_no_other_services_hash") {
        return;
    }
    let one = harb(&agent("dev", "dev-qwen"));
    let two = harb(&format!("{}{}", agent("another", "another"), agent("dev", "dev-qwen")));
    let before = shipped(&[("projects/harb.toml", &one)]);
    let after = shipped(&[("projects/harb.toml", &two), ("projects/zoo.toml", "name = \"zoo\"\n")]);
    let (before, after) = hashes(&before, &after).await;
    assert_eq!(after.len(), before.len() + 1);
    for (name, hash) in &before {
        assert_eq!(after.get(name), Some(hash), "{name}");
    }
}

/// Hashes by service of two renderings in the same folder, one after the other.
async fn hashes(one: &Rendered, other: &Rendered) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let folder = tempfile::tempdir().unwrap();
    let compose = RealCompose::new(Arc::new(RealProcess::new()), BTreeMap::new());
    let mut found = Vec::new();
    for rendered in [one, other] {
        let file = ComposeFile {
            dir: folder.path().to_owned(),
            file: folder.path().join("docker-compose.yml"),
            project: Some("box".to_owned()),
            env_file: None,
            profiles: vec!["vault".to_owned(), "staging".to_owned()],
            env: BTreeMap::from([("HOME".to_owned(), "/root".to_owned()), ("DISINTO_VERSION".to_owned(), "v1".to_owned())]),
        };
        fs::write(&file.file, &rendered.text).unwrap();
        let (_, services) = compose.config(&file).await.unwrap();
        found.push(services.into_iter().map(|service| (service.name, service.config_hash)).collect());
    }
    let other = found.pop().unwrap();
    (found.pop().unwrap(), other)
}

#[tokio::test]
async fn compose_reads_quoted_values_back_as_they_were() {
    if no_compose("compose_reads_quoted_values_back_as_they_were") {
        return;
    }
    let values = [
        "plain",
        "",
        " spaces ",
        "a\"b'c\\d",
        "$HOME ${X:-y} $$",
        "# no comment",
        "a: b",
        "- x",
        "tab\tline\nend",
        "é\u{2028}\u{7f}",
        "~",
        "yes",
        "010",
    ];
    let mut inputs = Inputs::default();
    inputs.values.insert("list".to_owned(), json!(values));
    let text = "services:\n  a:\n    image: x\n    environment:\n{{#each values.list}}\n      V{{@index}}: {{yaml this}}\n      J{{@index}}: {{json this}}\n{{/each}}\n";
    let rendered = render(&Template { name: "t", text }, &inputs).unwrap();
    let services = resolved(&rendered).await;
    let env = &services["a"].config["environment"];
    for (index, value) in values.iter().enumerate() {
        for kind in ["V", "J"] {
            // Compose writes each `$` twice in what it prints.
            let read = env[format!("{kind}{index}")].as_str().unwrap().replace("$$", "$");
            assert_eq!(read, *value, "{kind}{index}");
        }
    }
}
