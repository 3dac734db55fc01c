//! Rendering alone: the shipped template, and templates that go wrong.

use std::fs;
use std::path::Path;

use formula_steps::compose_file::{Made, NoteLevel, Service, differences, made, unified};
use serde_json::json;

use super::*;

const BASE: [&str; 8] = ["forgejo", "woodpecker", "woodpecker-agent", "agents", "runner", "edge", "staging", "staging-deploy"];
const BASE_VOLUMES: [&str; 5] = ["forgejo-data", "woodpecker-data", "agent-data", "project-repos", "caddy_data"];

fn one(text: &str) -> Rendered {
    shipped(&[("projects/harb.toml", text)])
}

fn refused(text: &str) -> String {
    try_shipped(&[("projects/harb.toml", text)], Mode::Pinned).unwrap_err().message
}

fn service<'a>(rendered: &'a Rendered, name: &str) -> &'a Service {
    rendered.services.iter().find(|service| service.name == name).unwrap()
}

/// The text below the header, which a golden file holds.
fn body(rendered: &Rendered) -> String {
    rendered.text.split_inclusive('\n').skip(2).collect()
}

/// Holds a rendering against a file of `tests/golden`; `UPDATE_EXPECT=1` writes the file anew.
#[expect(clippy::disallowed_methods, reason = "a switch for the person who runs the test")]
fn golden(name: &str, rendered: &Rendered) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, body(rendered)).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let diff = unified(&expected, &body(rendered));
    assert!(diff.is_empty(), "the rendering is another than `{}` (`UPDATE_EXPECT=1` accepts it):\n{diff}", path.display());
}

#[test]
fn golden_files_of_the_shipped_template() {
    let agents = format!("{}{}[agents.schedule]\ncron = \"daily\"\n", agent("dev-qwen", "dev-qwen"), agent("llama", "review-qwen"));
    golden("no-agents.yml", &one(HARB));
    golden("pinned.yml", &one(&harb(&agents)));
    golden("build.yml", &try_shipped(&[("projects/harb.toml", &harb(&agents))], Mode::Build).unwrap());
}

#[test]
fn c01_keys_carry_the_user_not_the_section() {
    let rendered = one(&harb(&agent("llama", "dev-qwen")));
    let stanza = stanza(&rendered, "agents-llama");
    assert!(stanza.contains("      FORGE_BOT_USER_DEV_QWEN: \"dev-qwen\"\n"), "{stanza}");
    assert!(!stanza.contains("_LLAMA"), "{stanza}");
    assert!(rendered.keys.iter().all(|key| !key.name.ends_with("_LLAMA")));
}

#[test]
fn c02_the_suffix_is_on_token_pass_and_bot_user() {
    let rendered = one(&harb(&agent("dev", "review-qwen")));
    let text = stanza(&rendered, "agents-dev");
    for line in [
        "FORGE_TOKEN: ${FORGE_TOKEN_REVIEW_QWEN:-}",
        "FORGE_PASS: ${FORGE_PASS_REVIEW_QWEN:-}",
        "FORGE_BOT_USER_REVIEW_QWEN: \"review-qwen\"",
    ] {
        assert!(text.contains(&format!("      {line}\n")), "{line} in {text}");
    }
    assert!(!text.contains("_DEV:") && !text.contains("_DEV}") && !text.contains("_DEV:-"), "{text}");
    let keys = &service(&rendered, "agents-dev").keys;
    assert!(keys.iter().any(|key| key == "FORGE_TOKEN_REVIEW_QWEN") && !keys.iter().any(|key| key == "FORGE_TOKEN"), "{keys:?}");
    let of_agent = rendered.keys.iter().find(|key| key.name == "FORGE_PASS_REVIEW_QWEN").unwrap();
    assert_eq!(
        (of_agent.required, of_agent.default.as_deref(), of_agent.services.as_slice()),
        (false, Some(""), &["agents-dev".to_owned()][..])
    );
}

#[test]
fn c03_pinned_agents_have_the_image_of_the_base_agents() {
    let rendered = one(&harb(&agent("dev", "dev-qwen")));
    let image = service(&rendered, "agents").image.clone().unwrap();
    assert_eq!(service(&rendered, "agents-dev").image.as_ref(), Some(&image));
    assert_eq!(service(&rendered, "runner").image.as_ref(), Some(&image));
    assert!(image.ends_with("/agents:${DISINTO_VERSION:?set DISINTO_VERSION in .env}"), "{image}");
    assert!(!rendered.text.contains("build:") && !rendered.text.contains("pull_policy"));
}

#[test]
fn c04_build_mode_reaches_every_service_of_ours_and_no_other() {
    let files = [("projects/harb.toml", &*harb(&agent("dev", "dev-qwen")))];
    let (pinned, built) = (shipped(&files), try_shipped(&files, Mode::Build).unwrap());
    let told: Vec<_> = differences(&pinned.text, &built.text).iter().map(ToString::to_string).collect();
    for ours in ["agents", "runner", "edge", "agents-dev"] {
        for what in ["build.context", "build.dockerfile", "pull_policy"] {
            assert!(told.contains(&format!("+ `{what}` of service `{ours}`")), "{ours} {what}: {told:#?}");
        }
        assert!(service(&built, ours).image.is_some(), "{ours} keeps an image name");
    }
    for base in BASE.iter().filter(|base| !["agents", "runner", "edge"].contains(base)) {
        assert!(!told.iter().any(|line| line.contains(&format!("of service `{base}`"))), "{base}: {told:#?}");
        assert_eq!(stanza(&pinned, base), stanza(&built, base));
    }
    assert!(matches!(made(&built.text), Made::Ours(header) if header.mode == Mode::Build));
}

#[test]
fn c05_without_agents_there_are_just_the_base_services() {
    for rendered in [one(HARB), shipped(&[])] {
        assert_eq!(rendered.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), BASE);
        assert_eq!(rendered.volumes, BASE_VOLUMES);
        assert_eq!(rendered.networks, ["disinto-net"]);
        assert!(rendered.notes.is_empty());
    }
}

#[test]
fn c06_each_agent_has_its_own_two_volumes() {
    let rendered = one(&harb(&format!("{}{}", agent("a", "user-a"), agent("b", "user-b"))));
    assert_eq!(rendered.services.len(), BASE.len() + 2);
    assert_eq!(rendered.volumes[..5], BASE_VOLUMES);
    assert_eq!(rendered.volumes[5..], ["agents-a-data", "project-repos-a", "agents-b-data", "project-repos-b"]);
    for (own, others) in [("a", "b"), ("b", "a")] {
        let text = stanza(&rendered, &format!("agents-{own}"));
        assert!(text.contains(&format!("- agents-{own}-data:/home/agent/data\n")) && text.contains(&format!("- project-repos-{own}:")));
        assert!(!text.contains(&format!("agents-{others}-data")) && !text.contains(&format!("project-repos-{others}")));
        for shared in [".config/sops/age:ro", "woodpecker-data:/woodpecker-data:ro", ".ssh:ro", ".env:ro", "projects:ro", "disinto/state"] {
            assert!(text.contains(shared), "{shared} in {text}");
        }
    }
}

#[test]
fn c07_agents_declare_their_volumes_whatever_the_base_declares() {
    let skeleton = "services:\n  base:\n    image: x\n    volumes:\n      - only:/x\n{{#each data.projects}}{{#each agents}}
  agents-{{slug @key}}:
    image: x
    volumes: [\"agents-{{slug @key}}-data:/data\"]
{{/each}}{{/each}}
volumes:
  only:
{{#each data.projects}}{{#each agents}}
  agents-{{slug @key}}-data:
{{/each}}{{/each}}
";
    let template = Template { name: "skeleton", text: skeleton };
    let rendered = render(&template, &inputs(&[("p.toml", &harb(&agent("a", "user-a")))])).unwrap();
    assert_eq!(rendered.volumes, ["only", "agents-a-data"]);
}

#[test]
fn c08_the_same_inputs_give_the_same_bytes() {
    let text = harb(&agent("a", "user-a"));
    let first = one(&text);
    let elsewhere = std::thread::spawn(move || one(&text)).join().unwrap();
    assert_eq!(first, elsewhere);
}

#[test]
fn c09_values_of_the_box_stay_to_be_looked_up() {
    let no_repo = one("name = \"harb\"\n");
    for expected in [
        "FORGE_REPO: ${FORGE_REPO:-disinto-admin/disinto}",
        "ARCHITECT_INTERVAL: ${ARCHITECT_INTERVAL:-900}",
        "PLANNER_INTERVAL: ${PLANNER_INTERVAL:-43200}",
    ] {
        assert!(stanza(&no_repo, "agents").contains(expected), "{expected}");
    }
}

#[test]
fn c11_the_same_agent_in_two_files_names_both() {
    let (one, other) = (harb(&agent("llama", "user-a")), harb(&agent("llama", "user-b")));
    let error = try_shipped(&[("projects/a.toml", &one), ("projects/b.toml", &other)], Mode::Pinned).unwrap_err();
    let both = "by `[agents.llama]` in `projects/a.toml` line 5 and by `[agents.llama]` in `projects/b.toml` line 5";
    assert_eq!(error.message, format!("service `agents-llama` is made twice: {both}"));
    assert_eq!(error.hint.as_deref(), Some("rename one of the two"));
    // Volumes that services of two tables mount, though the services have names of their own.
    let volumes = "services:\n{{#each data.projects}}{{#each agents}}\n  {{@key}}:\n    {{origin ../_file @key}}\n    image: x\n    volumes: [{{slug @key}}:/x]
{{/each}}{{/each}}\nvolumes:\n{{#each data.projects}}{{#each agents}}\n  {{slug @key}}:\n{{/each}}{{/each}}\n";
    let tables = harb("[agents.a-b]\n[agents.a_b]\n");
    let error = render(&Template { name: "t", text: volumes }, &inputs(&[("p.toml", &tables)])).unwrap_err();
    assert_eq!(error.message, "volume `a-b` is made twice: by `[agents.a-b]` in `p.toml` line 5 and by `[agents.a_b]` in `p.toml` line 6");
    // A name that the base has, and two sections with the same slug.
    let slug = refused(&harb(&format!("{}{}", agent("a-b", "user-a"), agent("a_b", "user-b"))));
    assert!(slug.contains("service `agents-a-b` is made twice: by `[agents.a-b]` in"), "{slug}");
    let text = "services:\n  a:\n    container_name: x\n  b:\n    container_name: x\n";
    for (text, expected) in [
        (text, "container `x` is made twice: by `t` itself (line 2 of what it renders) and by `t` itself (line 4 of what it renders)"),
        ("services:\n  a: {image: x}\nvolumes:\n  v:\n  v:\n", "volume `v` is made twice: by `t` itself (line 4"),
        ("services: {}\n", "`t` renders to a file without services"),
    ] {
        let error = render(&Template { name: "t", text }, &inputs(&[])).unwrap_err();
        assert!(error.message.starts_with(expected), "{error}");
    }
}

#[test]
fn c12_the_legacy_flag_is_rejected_with_what_to_write() {
    let mut inputs = inputs(&[("projects/harb.toml", &harb(&agent("llama", "user-a")))]);
    inputs.values.insert("ENABLE_LLAMA_AGENT".to_owned(), json!("1"));
    let error = render(&Template { name: "t", text: SHIPPED_TEMPLATE }, &inputs).unwrap_err();
    assert!(error.message.contains("write an `[agents.llama]` table with `base_url`"), "{error}");
}

#[test]
fn c13_a_failed_rendering_leaves_nothing_behind() {
    let twice = harb(&format!("{}{}", agent("a", "same"), agent("b", "same")));
    let good = harb(&agent("a", "same"));
    assert!(refused(&twice).contains("forge user `same` is used twice"));
    assert_eq!(one(&good), one(&good));
}

#[test]
fn c14_a_table_that_is_no_agent_is_noted_and_no_more() {
    let rendered = one(&harb("[agents.schedule]\ncron = \"x\"\n"));
    assert_eq!(rendered.services.len(), BASE.len());
    let [note] = rendered.notes.as_slice() else { panic!("{:?}", rendered.notes) };
    assert_eq!(note.level, NoteLevel::Info);
    let told = note.to_string();
    assert_eq!(told, "`[agents.schedule]` in `projects/harb.toml` line 5 has neither `base_url` nor `model`: no service is made of it");
    assert!(rendered.keys.iter().all(|key| !key.name.contains("SCHEDULE")));
}

#[test]
fn c15_an_agent_without_a_model_is_warned_about() {
    for (table, lacks) in [("base_url = \"x\"\nmodel = \"\"\n", "`model`"), ("model = \"x\"\n", "`base_url`")] {
        let rendered = one(&harb(&format!("[agents.half]\n{table}")));
        assert_eq!(rendered.services.len(), BASE.len());
        let [note] = rendered.notes.as_slice() else { panic!("{:?}", rendered.notes) };
        assert_eq!(note.level, NoteLevel::Warning);
        let told = note.to_string();
        assert!(told.starts_with("`[agents.half]` in `projects/harb.toml` line 5 has") && told.contains(&format!("no {lacks}")), "{told}");
    }
}

#[test]
fn c16_agents_have_no_profile_runner_and_staging_deploy_do() {
    let rendered = one(&harb(&agent("a", "user-a")));
    assert!(service(&rendered, "agents-a").profiles.is_empty());
    let profiled: Vec<_> = rendered.services.iter().filter(|service| !service.profiles.is_empty()).map(|service| &service.name).collect();
    assert_eq!(profiled, ["runner", "staging-deploy"]);
}

#[test]
fn c17_roles_are_joined_by_commas() {
    for roles in ["[\"dev\", \"review\"]", "\"dev review\"", "\"dev, review\""] {
        let text = harb(&agent("a", "user-a")).replace("[\"dev\"]", roles);
        let rendered = one(&text);
        assert!(stanza(&rendered, "agents-a").contains("      AGENT_ROLES: \"dev,review\"\n"), "{roles}");
    }
}

#[test]
fn c18_what_is_used_must_be_declared() {
    for (text, expected) in [
        ("services:\n  a:\n    image: x\n    volumes: ['vol:/v:ro']\n", "service `a` mounts volume `vol`, which is not declared"),
        (
            "services:\n  a:\n    image: x\n    volumes: [{type: volume, source: vol, target: /v}]\n",
            "service `a` mounts volume `vol`, which",
        ),
        ("services:\n  a:\n    image: x\n    networks: [n]\n", "service `a` uses network `n`, which is not declared under `networks`"),
        ("services:\n  a:\n    image: x\n    depends_on: [b]\n", "service `a` depends on service `b`, which is not there"),
        ("services:\n  a:\n    image: x\n    depends_on: {a: {condition: service_started}}\n", "service `a` depends on itself"),
        ("services:\n  a:\n    image: x\n    network_mode: service:b\n", "service `a` depends on service `b`"),
        ("services:\n  a:\n    image: x\n    image: y\n", "`image` is there twice in `a`, on lines 3 and 4"),
        ("services:\n  a: [\n", "is not sound YAML: line "),
        ("just text\n", "renders to no table"),
    ] {
        let error = render(&Template { name: "t", text }, &inputs(&[])).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
    let drive = "services:\n  a:\n    image: x\n    volumes: ['d:/data']\nvolumes: {d: }\n";
    let error = render(&Template { name: "t", text: drive }, &inputs(&[])).unwrap_err();
    assert!(error.message.contains("for a drive"), "{error}");
    let sound = "services:\n  a:\n    image: x\n    networks: [default]\n    volumes: ['./x:/x', '${D:-/d}:/y', '~/z:/z', /anonymous]\n";
    render(&Template { name: "t", text: sound }, &inputs(&[])).unwrap();
}

#[test]
fn c19_the_project_is_literal() {
    let rendered = one(&harb(&agent("a", "user-a")));
    for service in ["agents", "agents-a"] {
        let text = stanza(&rendered, service);
        assert!(text.contains("PROJECT_NAME: \"harb\"\n") && text.contains("PROJECT_REPO_ROOT: \"/home/agent/repos/harb\"\n"), "{text}");
    }
    assert!(!rendered.text.contains("PROJECT_NAME}"));
}

#[test]
fn c20_the_primary_repo_is_the_largest_and_agents_have_their_own() {
    let file = |id: &str, name: &str| format!("name = \"{name}\"\n[ci]\nwoodpecker_repo_id = {id}\n{}", agent(name, name));
    let (zero, three, twelve) = (file("0", "zero"), file("3", "three"), file("\"12\"", "twelve"));
    let rendered = shipped(&[("projects/a.toml", &zero), ("projects/b.toml", &three), ("projects/c.toml", &twelve)]);
    for (service, id) in [("agents", "12"), ("agents-zero", "0"), ("agents-three", "3"), ("agents-twelve", "12")] {
        assert!(stanza(&rendered, service).contains(&format!("WOODPECKER_REPO_ID: \"{id}\"\n")), "{service}");
    }
    assert!(stanza(&one("name = \"x\"\n"), "agents").contains("WOODPECKER_REPO_ID: \"\"\n"));
}

#[test]
fn agents_with_the_same_credentials_are_refused() {
    let suffix = refused(&harb(&format!("{}{}", agent("a", "dev-qwen"), agent("b", "Dev_Qwen"))));
    assert!(
        suffix.contains("credential suffix `DEV_QWEN` is used twice: by `[agents.a]` in `projects/harb.toml` line 5 and by `[agents.b]`"),
        "{suffix}"
    );
    let illegal = refused(&harb(&agent("a", "dev.qwen")));
    assert!(illegal.contains("`DEV.QWEN`") && illegal.contains("`[agents.a]` in `projects/harb.toml` line 5"), "{illegal}");
}

#[test]
fn what_a_template_gets_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("services:\n  {{values.nmae}}: {}\n", "`t` line 2, column 3: `values.nmae` is not there"),
        ("{{#each data.projects}}\n{{yaml roles}}{{/each}}", "`roles` is not there (at `p.toml`)"),
        ("{{ylam 1}}", "there is no helper `ylam`"),
        ("a\n{{#if x}}\n", "`t` line "),
        ("{{yaml}}", "`yaml` takes 1 arguments"),
        ("{{runtime \"A-B\"}}", "`A-B` is not a name for a variable"),
        ("{{runtime \"A\" \"x: y\"}}", "cannot stand within `${…}`"),
        ("{{yaml data.projects}}", "a text, a number or a truth value is needed"),
    ] {
        let error = render(&Template { name: "t", text }, &inputs(&[("p.toml", HARB)])).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
}

#[test]
fn values_reach_the_file_as_they_are() {
    let mut inputs = inputs(&[]);
    inputs.values.insert("evil".to_owned(), json!("a\": b\n  # $HOME ${X} \\ \u{7f} é"));
    let text = "services:\n  a:\n    image: x\n    environment:\n      V: {{yaml values.evil}}\n      J: {{json values.evil}}\n";
    let rendered = render(&Template { name: "t", text }, &inputs).unwrap();
    assert!(rendered.keys.is_empty(), "{:?}", rendered.keys);
    assert!(rendered.text.contains("V: \"a\\\": b\\n  # $$HOME $${X} \\\\ \\u007f é\"\n"), "{}", rendered.text);
}
