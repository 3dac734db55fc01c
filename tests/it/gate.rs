//! Gates that say who may answer them, and how.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Ran, Sandbox, formula};

fn ask(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(line.split(' ')).run()
}

/// A run that waits at a gate with these params.
fn waiting(rules: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let gate = format!("[[steps]]\nid = \"sure\"\nuses = \"approve\"\nwith = {{ prompt = \"Sure?\", {rules} }}\n");
    let text = format!(
        "name = \"ship\"\ndescription = \"Ships\"\nversion = 1\n\n{gate}\n[[steps]]\nid = \"go\"\nuses = \"write-file\"\nwith = {{ path = \"gone\", content = \"x\" }}\n"
    );
    sandbox.write("formulas/ship.toml", text);
    sandbox
}

/// The name of the user who runs the tests, as the system has it.
fn me() -> String {
    let told = std::process::Command::new("id").arg("-un").output().expect("the program is there");
    String::from_utf8(told.stdout).expect("a name").trim().to_owned()
}

#[test]
fn only_those_who_are_named_answer_and_the_environment_makes_nobody_one_of_them() {
    let sandbox = waiting("approvers = [\"nobody-of-here\"]");
    ask(&sandbox, "run ship").exits(20);
    let ran = formula(&sandbox).args(["approve"]).env("USER", "nobody-of-here").run();
    ran.exits(2).stderr_has(&format!("`{}` may not answer gate `sure`", me())).stderr_has("these may: `nobody-of-here`");
    ask(&sandbox, "approve --deny").exits(2).stderr_has("may not answer");
    ask(&sandbox, "run ship --yes").exits(20).stderr_has("may not answer gate `sure`");
    ask(&sandbox, "show").stdout_has("who may answer: `nobody-of-here`");
    let sandbox = waiting(&format!("approvers = [\"nobody-of-here\", \"{}\"]", me()));
    ask(&sandbox, "run ship").exits(20);
    ask(&sandbox, "approve").exits(0);
    ask(&sandbox, "run ship").exits(0);
}

#[test]
fn what_is_proven_at_a_terminal_is_not_approved_elsewhere() {
    let sandbox = waiting("proof = \"terminal\"");
    ask(&sandbox, "run ship --yes").exits(20).stderr_has("gate `sure` is approved at a terminal, and by nothing else");
    ask(&sandbox, "approve").exits(2).stderr_has("at a terminal");
    ask(&sandbox, "approve --deny --reason no").exits(0);
}

#[test]
fn a_file_proves_an_approval_by_its_owner_and_the_digest_in_it() {
    let sandbox = waiting("proof = \"file\", proof_file = \"ok\"");
    ask(&sandbox, "run ship").exits(20);
    ask(&sandbox, "approve").exits(2).stderr_has("is approved with the file `ok`, and it cannot be read");
    let shown = &ask(&sandbox, "show --json").json()[0];
    let digest = shown["steps"][0]["gate"]["digest"].as_str().expect("a digest").to_owned();
    let mode = |bits| fs::set_permissions(sandbox.work().join("ok"), fs::Permissions::from_mode(bits)).expect("the file is ours");
    sandbox.write("ok", "yes\n");
    mode(0o644);
    ask(&sandbox, "approve").exits(2).stderr_has("it does not name the digest of the gate").stderr_has(&digest);
    sandbox.write("ok", format!("{digest}\n"));
    mode(0o666);
    ask(&sandbox, "approve").exits(2).stderr_has("others may write to it");
    mode(0o644);
    ask(&sandbox, "approve").exits(0);
    ask(&sandbox, "run ship").exits(0);
}

#[test]
fn a_rule_that_cannot_be_one_is_found_before_anything_runs() {
    for (rules, told) in [
        ("proof = \"forge\"", "`proof` is `forge`, and it may be `terminal` or `file`"),
        ("proof = \"file\"", "needs `proof_file`"),
        ("approvers = [\"a:b\"]", "`a:b` is not the name of a user"),
    ] {
        ask(&waiting(rules), "check").exits(10).stderr_has(told);
    }
}
