//! `formula resume --redo STEP`: what is done is done again because a person names it, and nothing is forgotten.

use crate::support::{Ran, Sandbox, formula};

/// A file, a command that may be repeated and one that may not, files that read from a step and from none, a last look.
const SITE: &str = r#"
name = "site"
description = "d"

[[steps]]
id = "conf"
uses = "write-file"
with = { path = "conf.txt", content = "conf" }

[[steps]]
id = "page"
uses = "write-file"
foreach = ["a", "b"]
with = { path = "page-{{ item }}.txt", content = "{{ item }}" }

[[steps]]
id = "tell"
uses = "shell"
with = { script = "echo told >> ledger" }

[[steps]]
id = "look"
uses = "shell"
with = { script = "echo looked >> ledger; test ! -e broken", read_only = true }
"#;

fn ask(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(line.split(' ')).run()
}

fn site(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/site.toml", text);
    sandbox
}

fn ledger(sandbox: &Sandbox) -> String {
    sandbox.read("ledger").replace('\n', " ")
}

#[test]
fn a_step_that_was_lost_is_done_again_and_what_rests_on_it_is_asked() {
    let sandbox = site(SITE);
    ask(&sandbox, "run site").exits(0);
    std::fs::remove_file(sandbox.work().join("page-a.txt")).expect("it was written");
    let ran = ask(&sandbox, "resume --redo page");
    ran.exits(0).stderr_has("asked or done again: page[a], page[b], look\n");
    ran.stderr_has("left as they are, though they rest on that: tell (named with `--redo` they are done again as well)");
    assert_eq!(sandbox.read("page-a.txt"), "a");
    assert_eq!(ledger(&sandbox), "told looked looked ", "what must not be repeated was not");
    let events = ask(&sandbox, "log --json").exits(0).json();
    let asked = events.iter().find(|entry| entry["event"]["type"] == "redo_requested").expect("it is in the journal");
    assert_eq!(asked["event"]["steps"], serde_json::json!(["page"]));
    // The same command finds the run done.
    ask(&sandbox, "run site").exits(0).stderr_has("nothing to do");
}

#[test]
fn what_may_not_be_repeated_is_repeated_where_it_is_named() {
    let sandbox = site(SITE);
    ask(&sandbox, "run site").exits(0);
    ask(&sandbox, "resume --redo tell").exits(0).stderr_has("asked or done again: tell, look");
    assert_eq!(ledger(&sandbox), "told looked told looked ");
}

#[test]
fn what_was_made_before_is_still_taken_back_to_what_was_there_first() {
    let sandbox = site(&SITE.replace("echo told >> ledger\"", "true\", idempotent = true, undo = \"true\""));
    sandbox.write("conf.txt", "mine");
    sandbox.write("broken", "");
    ask(&sandbox, "run site").exits(20);
    ask(&sandbox, "resume --redo conf").exits(20);
    // Lost, and done again over something else.
    sandbox.write("page-b.txt", "b");
    std::fs::remove_file(sandbox.work().join("page-a.txt")).expect("it was written");
    ask(&sandbox, "resume --redo page").exits(20).stderr_has("✓ page[a]");
    ask(&sandbox, "rollback --yes").exits(0);
    let files = sandbox.files();
    assert_eq!(files["conf.txt"], "mine");
    assert!(!files.contains_key("page-a.txt") && !files.contains_key("page-b.txt"), "{files:?}");
}

#[test]
fn what_stands_in_the_way_is_told_with_the_way_round_it() {
    let read = "\n[[steps]]\nid = \"copy\"\nuses = \"write-file\"\nwith = { path = \"copy.txt\", content = \"{{ steps.conf.outputs.digest }}\" }\n";
    let sandbox = site(&(SITE.split("[[steps]]\nid = \"tell\"").next().expect("text").to_owned() + read));
    ask(&sandbox, "run site").exits(0);
    let refused = ask(&sandbox, "resume --redo conf");
    refused.exits(2).stderr_has("step `copy` was made from what is to be done again, and could not be taken back any more");
    refused.stderr_has("take the run back with `formula rollback [RUN]`, then give the same command again");
    ask(&sandbox, "resume --redo nothing").exits(2).stderr_has("the run has no step `nothing`");
    ask(&sandbox, "resume --redo conf --with formulas/site.toml").exits(2);
    ask(&sandbox, "rollback --yes").exits(0);
    ask(&sandbox, "resume --redo page").exits(2).stderr_has("the run is over (rolled back)");

    let sandbox = site(SITE);
    sandbox.write("broken", "");
    ask(&sandbox, "run site").exits(20);
    ask(&sandbox, "resume --redo look")
        .exits(2)
        .stderr_has("step `look` is not done yet")
        .stderr_has("`formula resume [RUN]` does what is left");
}
