//! `formula resume --with FILE`: a run goes on with a mended formula, or is told by name what stands in the way.

use crate::support::{Ran, Sandbox, formula};

/// A look, a file, a step that fails, a file; `{fix}` is how the third one goes.
fn text(fix: &str) -> String {
    format!(
        "name = \"site\"\ndescription = \"d\"\n\n[vars.text]\nrequired = true\n\n\
         [[steps]]\nid = \"look\"\nuses = \"shell\"\nwith = {{ command = [\"true\"], read_only = true }}\n\n\
         [[steps]]\nid = \"first\"\nuses = \"write-file\"\nwith = {{ path = \"first.txt\", content = \"{{{{ vars.text }}}}\" }}\n\n\
         [[steps]]\nid = \"fix\"\nuses = \"shell\"\nwith = {{ {fix} }}\n\n\
         [[steps]]\nid = \"last\"\nuses = \"write-file\"\nwith = {{ path = \"last.txt\", content = \"{{{{ steps.first.outputs.digest }}}}\" }}\n"
    )
}

const BROKEN: &str = "command = [\"sh\", \"-c\", \"echo tried >> log; exit 1\"], idempotent = true";
const MENDED: &str = "command = [\"sh\", \"-c\", \"echo mended >> log\"], idempotent = true";

fn ask(sandbox: &Sandbox, line: &str) -> Ran {
    formula(sandbox).args(line.split(' ')).run()
}

/// A run that is held at `fix`.
fn held(fix: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/site.toml", text(fix));
    ask(&sandbox, "run site --text hello --quiet").exits(20);
    sandbox
}

fn events(sandbox: &Sandbox) -> Vec<String> {
    let log = ask(sandbox, "log --json").exits(0).json();
    log.iter().map(|entry| entry["event"]["type"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_run_goes_on_with_what_was_mended_and_does_nothing_twice() {
    let sandbox = held(BROKEN);
    let more = "\n[[steps]]\nid = \"more\"\nuses = \"write-file\"\nwith = { path = \"more.txt\", content = \"more\" }\n";
    sandbox.write("new.toml", text(MENDED) + more);
    let ran = ask(&sandbox, "resume --with new.toml");
    ran.exits(0).stderr_has("with new.toml:\n  kept   look (done), first (done), last (pending)\n  anew   fix (edited)\n  new    more\n");
    let files = sandbox.files();
    assert_eq!((files["first.txt"].as_str(), files["more.txt"].as_str()), ("hello", "more"));
    assert!(files["last.txt"].starts_with("sha256:"), "what the first step gave is known still");
    assert_eq!(files["log"], "tried\nmended\n");
    let events = events(&sandbox);
    let at = events.iter().position(|event| event == "plan_replaced").expect("it is in the journal");
    assert_eq!(events[at - 1], "run_resumed");
    assert_eq!(events[at..].iter().filter(|event| *event == "attempt_started").count(), 3, "fix, last and more, nothing else");
    // The same command finds it done, and what there is of it can be taken back.
    ask(&sandbox, "run site --text hello").exits(0).stderr_has("nothing to do");
    ask(&sandbox, "show").exits(0).stdout_has("more");
    ask(&sandbox, "graph --run 0").exits(0).stdout_has("more");
    ask(&sandbox, "resume --with new.toml").exits(2).stderr_has("is over: done");
}

#[test]
fn what_the_run_made_under_the_old_formula_is_taken_back() {
    let sandbox = held(BROKEN);
    sandbox.write("first.keep", "x");
    sandbox.write("new.toml", text("command = [\"sh\", \"-c\", \"exit 3\"], idempotent = true"));
    ask(&sandbox, "resume --with new.toml").exits(20).stderr_has("ended with exit code 3");
    assert!(sandbox.files().contains_key("first.txt"));
    ask(&sandbox, "rollback --yes").exits(0);
    assert!(!sandbox.files().contains_key("first.txt"));
}

#[test]
fn a_finished_step_that_was_edited_is_refused_by_name() {
    let sandbox = held(BROKEN);
    let before = events(&sandbox);
    let with = |text: String| {
        sandbox.write("new.toml", text);
        ask(&sandbox, "resume --with new.toml")
    };
    let edited = with(text(MENDED).replace("first.txt", "other.txt"));
    edited.exits(2).stderr_has("refused, and nothing was changed: step `first` is finished, and was edited");
    // A step before it is a change of it as well: it would have waited.
    let inserted = text(MENDED).replace(
        "[[steps]]\nid = \"first\"",
        "[[steps]]\nid = \"zero\"\nuses = \"wait\"\nwith = { for = \"1s\" }\n\n[[steps]]\nid = \"first\"",
    );
    with(inserted).exits(2).stderr_has("step `first` is finished, and was edited");
    let gone = text(MENDED).replace("id = \"first\"", "id = \"second\"").replace("steps.first.", "steps.second.");
    with(gone).exits(2).stderr_has("step `first` is gone, and what it did could not be taken back any more");
    with(text(MENDED).replace("name = \"site\"", "name = \"other\"")).exits(2).stderr_has("and the run is one of `site`");
    with(text(MENDED).replace("uses = \"shell\"\nwith = { command = [\"sh\"", "uses = \"shel\"\nwith = { command = [\"sh\""))
        .exits(10)
        .stderr_has("F0207");
    with("\u{1}".into()).exits(10);
    ask(&sandbox, "resume --with nothing.toml").exits(10).stderr_has("nothing.toml");
    assert_eq!(events(&sandbox), before, "a refusal leaves no trace");
    // Titles, tries and limits may change.
    let title = text(MENDED).replace("id = \"first\"\n", "id = \"first\"\ntitle = \"The first\"\ntimeout = \"5m\"\n");
    with(title).exits(0).stderr_has("kept   look (done), first (done)");
}

#[test]
fn a_step_that_may_have_left_something_is_taken_back_first() {
    let undo = "probe = [\"test\", \"-e\", \"made\"], undo = [\"sh\", \"-c\", \"echo undone >> log\"]";
    let sandbox = held(&format!("command = [\"sh\", \"-c\", \"echo tried >> log; exit 1\"], {undo}"));
    let new = text(&format!("command = [\"sh\", \"-c\", \"echo mended >> log\"], {undo}"));
    sandbox.write("new.toml", new);
    let ran = ask(&sandbox, "resume --with new.toml");
    ran.exits(2).stderr_has("step `fix` was edited, but was tried before").stderr_has("--to first`, then mend it");
    ask(&sandbox, "rollback --to first --yes").exits(0);
    ask(&sandbox, "resume --with new.toml").exits(0).stderr_has("anew   fix (edited)");
    assert_eq!(sandbox.files()["log"], "tried\nundone\nmended\n");
}

#[test]
fn after_a_crash_the_run_has_the_new_plan_without_the_file() {
    let sandbox = held(BROKEN);
    // The first time it kills the program that drives the run.
    let kill = "command = [\"sh\", \"-c\", \"if test -e killed; then echo mended >> log; else touch killed; kill -9 $PPID; fi\"], idempotent = true";
    sandbox.write("new.toml", text(kill));
    let killed = ask(&sandbox, "resume --with new.toml");
    assert_eq!(killed.code, None, "{killed:?}");
    std::fs::remove_file(sandbox.work().join("new.toml")).expect("it was there");
    ask(&sandbox, "run site --text hello").exits(0).stderr_has("carrying on with run");
    let files = sandbox.files();
    assert!(files["log"] == "tried\nmended\n" && files["last.txt"].starts_with("sha256:"), "{files:?}");
    assert_eq!(events(&sandbox).iter().filter(|event| *event == "plan_replaced").count(), 1);
}

#[test]
fn an_approval_is_asked_for_again_when_what_it_was_given_for_changes() {
    let gated = |publish: &str| {
        format!(
            "name = \"ship\"\n[[steps]]\nid = \"note\"\nuses = \"write-file\"\nwith = {{ path = \"note\", content = \"x\" }}\n\
             [[steps]]\nid = \"ok\"\nuses = \"approve\"\nwith = {{ prompt = \"Ship?\" }}\n\
             [[steps]]\nid = \"publish\"\nuses = \"shell\"\nwith = {{ command = [\"sh\", \"-c\", \"{publish}\"], idempotent = true }}\n"
        )
    };
    let sandbox = Sandbox::new();
    sandbox.write("formulas/ship.toml", gated("exit 1"));
    ask(&sandbox, "run ship --yes --quiet").exits(20);
    ask(&sandbox, "run ship --yes --quiet").exits(20);
    sandbox.write("new.toml", gated("echo out > out"));
    let asked = ask(&sandbox, "resume --with new.toml");
    asked.exits(20).stderr_has("anew   ok (what it asks about has changed), publish (edited)").stderr_has("formula approve");
    assert!(!sandbox.files().contains_key("out"));
    // A default that is mended counts, as long as nothing that is finished has seen it.
    ask(&sandbox, "resume --yes").exits(0);
    assert_eq!(sandbox.files()["out"], "out\n");
}

#[test]
fn a_list_may_get_another_item() {
    let listed = |items: &str, code: u8| {
        format!(
            "name = \"each\"\n[[steps]]\nid = \"note\"\nuses = \"write-file\"\nwith = {{ path = \"note\", content = \"{{{{ run.id }}}}\" }}\n\
             [[steps]]\nid = \"out\"\nforeach = [{items}]\nuses = \"shell\"\n\
             with = {{ command = [\"sh\", \"-c\", \"echo $1 >> log; exit {code}\", \"sh\", \"{{{{ item }}}}\"], idempotent = true }}\n"
        )
    };
    let sandbox = Sandbox::new();
    sandbox.write("formulas/each.toml", listed("\"a\"", 1));
    ask(&sandbox, "run each --quiet").exits(20);
    sandbox.write("new.toml", listed("\"a\", \"b\"", 0));
    let ran = ask(&sandbox, "resume --with new.toml");
    ran.exits(0).stderr_has("  kept   note (done)\n  anew   out[a] (edited)\n  new    out[b]\n");
    let mut log: Vec<String> = sandbox.files()["log"].lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["a", "a", "b"]);
}
