//! Cases of the kinds that make compose files.

use formula_steps::world::fake::{FakeFile, Repo, State};
use serde_json::{Value, json};

use formula_steps::laws::Case;

const TEMPLATE: &str = "\
services:
  web:
    image: acme/web:{{runtime \"VERSION\" \"v1\"}}
{{#each data.projects}}{{#each agents}}
  agents-{{slug @key}}:
    {{origin ../_file @key}}
    image: acme/agent
    volumes:
      - {{slug @key}}-data:/data
{{/each}}{{/each}}
volumes:
{{#each data.projects}}{{#each agents}}
  {{slug @key}}-data:
{{/each}}{{/each}}
";

const TRACKED: &str = "services:\n  web:\n    image: acme/web:v0\n";

fn case(name: &'static str, params: Value, set_up: impl FnOnce(&mut State)) -> Case {
    let mut state = State::default();
    state.put("/acme/docker-compose.yml.hbs", TEMPLATE);
    state.put("/acme/projects/a.toml", "[agents.one]\nuser = 'x'\n");
    set_up(&mut state);
    Case { kind: "compose-regen", name, state, params }
}

pub fn cases() -> Vec<Case> {
    let data = json!({ "projects": "projects/*.toml" });
    vec![
        case("new", json!({ "data": data }), |_| {}),
        case("edited, and accepted", json!({ "data": data, "accept_hand_edits": true, "mode": "build" }), |state| {
            state.files.insert("/acme/docker-compose.yml".into(), FakeFile::new("services:\n  old: {}\n").mode(0o600));
            state.files.insert("/acme/docker-compose.yml.prev".into(), FakeFile::new("older").mode(0o640));
        }),
        case("tracked by the commit before, template of a tag", json!({ "data": data, "ref": "HEAD" }), |state| {
            let mut repo = Repo::default();
            let old = repo.add_commit(&[], &[("docker-compose.yml", TRACKED)]);
            let head = repo.add_commit(&[&old], &[("docker-compose.yml.hbs", TEMPLATE)]);
            repo.head = head;
            state.repos.insert("/acme".into(), repo);
            state.files.remove(std::path::Path::new("/acme/docker-compose.yml.hbs"));
            state.put("/acme/docker-compose.yml", TRACKED);
        }),
    ]
}
