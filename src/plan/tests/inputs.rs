//! What people give, and what they are told.

use super::super::{Given, GivenValue, Origin, env_name, inputs};
use super::*;

fn release() -> Formula {
    let mut version = var(VarType::Version, None);
    version.description = "Release to cut".to_owned();
    version.pattern = Some("^v".to_owned());
    let mut level = var(VarType::Enum, Some(json!("low")));
    level.choices = vec!["low".to_owned(), "high".to_owned()];
    formula(
        "release",
        &[
            ("version", version),
            ("mirrors", var(VarType::List, Some(json!([])))),
            ("build_args", var(VarType::Table, Some(json!({})))),
            ("gate", var(VarType::Bool, Some(json!(false)))),
            ("n", var(VarType::Int, Some(json!(3)))),
            ("level", level),
            ("image", var(VarType::String, Some(json!("{{ vars.registry }}/app:{{ vars.version }}")))),
            ("registry", var(VarType::String, Some(json!("ghcr.io/{{ vars.owner }}")))),
            ("owner", var(VarType::String, Some(json!("acme")))),
            ("many", var(VarType::Int, Some(json!("{{ vars.n }}")))),
        ],
        vec![],
    )
}

fn settled(given: &[Given]) -> Value {
    Value::Object(inputs(&release(), given).unwrap_or_else(|errors| panic!("{errors:?}")))
}

fn refused(given: &[Given]) -> Vec<String> {
    inputs(&release(), given).expect_err("must be refused").iter().map(ToString::to_string).collect()
}

fn env(name: &str, text: &str) -> Given {
    Given { name: name.to_owned(), value: GivenValue::Text(text.to_owned()), origin: Origin::Env }
}

#[test]
fn values_get_their_types_and_defaults_follow_each_other() {
    let given = [
        Given::flag("version", "v1.2.3"),
        Given::flag("mirrors", "codeberg"),
        Given::flag("mirrors", "github,x"),
        Given::flag("build-args", "A=1=2"),
        Given::flag("build-args", "B="),
        Given::flag("gate", "true"),
        Given::set("n=12").unwrap(),
    ];
    assert_eq!(
        settled(&given),
        json!({
            "version": "v1.2.3", "mirrors": ["codeberg", "github,x"], "build_args": { "A": "1=2", "B": "" }, "gate": true, "n": 12,
            "level": "low", "image": "ghcr.io/acme/app:v1.2.3", "registry": "ghcr.io/acme", "owner": "acme", "many": 12,
        })
    );
    let keys: Vec<_> = settled(&given).as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, release().vars.keys().cloned().collect::<Vec<_>>(), "in the order of the file");
}

#[test]
fn a_flag_beats_set_beats_the_file_beats_the_environment() {
    let file = Given::file("version = 'v1.0.0'\nowner = 'file'\nmirrors = ['f']\n[build_args]\nA = 'f'").unwrap();
    let all = [
        vec![env("version", "v0.0.1"), env("owner", "env"), env("mirrors", "a, b"), env("level", "high"), env("build_args", "A=1,B=2")],
        file,
        vec![Given::set("owner = \"set\"").unwrap(), Given::set("mirrors=['s']").unwrap(), Given::flag("owner", "flag")],
    ]
    .concat();
    let values = settled(&all);
    assert_eq!(values["owner"], json!("flag"));
    assert_eq!(values["mirrors"], json!(["s"]));
    assert_eq!(values["version"], json!("v1.0.0"));
    assert_eq!(values["level"], json!("high"));
    assert_eq!(values["build_args"], json!({ "A": "f" }));
    assert_eq!(settled(&[env("version", "v1.0.0"), env("mirrors", "a, b")])["mirrors"], json!(["a", "b"]));
    assert_eq!(settled(&[Given::set("version=v1.0.0").unwrap(), Given::set("owner=true").unwrap()])["owner"], json!("true"));
    let found = Given::env(&release(), &[("FORMULA_VAR_BUILD_ARGS".to_owned(), "A=1".to_owned())].into());
    assert_eq!(found, [env("build_args", "A=1")]);
    assert_eq!(env_name("health-url"), "FORMULA_VAR_HEALTH_URL");
}

#[test]
fn every_problem_is_told_with_what_to_type() {
    assert_eq!(refused(&[]), ["`version` is required (Release to cut): give it with `--version v0.3.0`"]);
    let found = refused(&[
        Given::flag("versoin", "v1.0.0"),
        Given::set("banana=1").unwrap(),
        Given::flag("n", "many"),
        Given::flag("level", "medium"),
        Given::flag("gate", "perhaps"),
        Given::flag("build-args", "A"),
        Given::flag("owner", "a"),
        Given::flag("owner", "b"),
        Given::set("mirrors=codeberg").unwrap(),
    ]);
    assert_eq!(
        found,
        [
            "formula `release` has no var for `--versoin`: did you mean `--version`?",
            "formula `release` has no var for `--set banana`: `formula run release --help` lists its vars",
            "`mirrors`: `codeberg` is not a list; write it as [\"a\", \"b\"]: give it with `--mirrors VALUE`, once per item",
            "`build_args`: `A` has no key; write it as KEY=value: give it with `--build-args KEY=VALUE`, once per entry",
            "`gate`: `perhaps` is neither true nor false: give it with `--gate` or `--no-gate`",
            "`n`: `many` is not a whole number: give it with `--n 3`",
            "`owner`: is given 2 times, and is not a list: give it with `--owner VALUE`",
            "`version` is required (Release to cut): give it with `--version v0.3.0`",
            "`level`: `medium` is not one of `low`, `high`: give it with `--level low`",
        ]
    );
    assert_eq!(
        refused(&[Given::flag("version", "1.2.3")]),
        ["`version`: `1.2.3` does not match the pattern `^v`: give it with `--version v0.3.0`"]
    );
    assert!(Given::set("owner").unwrap_err().to_string().contains("NAME=VALUE"));
    assert!(Given::file("a = ").is_err());
}

#[test]
fn a_secret_name_must_be_declared_and_circles_of_defaults_end() {
    let mut named = formula("f", &[("secret", var(VarType::SecretName, Some(json!(""))))], vec![]);
    named.secrets.insert("TOKEN".to_owned(), SecretDecl { from: vec![], required: true, span: Span::default() });
    assert!(inputs(&named, &[]).is_ok());
    assert!(inputs(&named, &[Given::flag("secret", "TOKEN")]).is_ok());
    let errors = inputs(&named, &[Given::flag("secret", "TOKEM")]).unwrap_err();
    assert_eq!(errors[0].help, "did you mean `TOKEN`?");
    let circle = formula(
        "f",
        &[("a", var(VarType::String, Some(json!("{{ vars.b }}")))), ("b", var(VarType::String, Some(json!("{{ vars.a }}"))))],
        vec![],
    );
    let errors = inputs(&circle, &[]).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].message.contains("in a circle"));
}
