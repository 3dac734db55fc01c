//! Input that is wrong: each mistake has its exit code and its words, and nothing is made before it is seen.

use std::collections::BTreeMap;

use crate::support::{GitFixture, Ran, Sandbox, formula};

const WRITE: &str = "[[steps]]\nid = \"a\"\nuses = \"write-file\"\nwith = { path = \"out\", content = \"x\" }\n";

/// Bytes of a file `formulas/f.toml`, and what is said of it.
fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let named = |rest: String| format!("name = \"f\"\n{rest}");
    let step = |from: &str, to: &str| named(WRITE.replace(from, to));
    let second = WRITE.replace("id = \"a\"", "id = \"b\"");
    let text = |name, text: String, said| (name, text.into_bytes(), said);
    vec![
        text("an empty file", String::new(), "F0202]: a formula has no `steps`"),
        text("no steps", named(String::new()), "F0202]: a formula has no `steps`"),
        text("no name", WRITE.into(), "F0202]: a formula has no `name`"),
        text("another name", format!("name = \"g\"\n{WRITE}"), "F0206]: the formula is named `g`, its file `f.toml`"),
        text("no TOML", named("steps =\n".into()), "F0101]: not valid TOML"),
        text(
            "an escape that TOML lacks",
            named(format!("description = \"a\\.b\"\n{WRITE}")),
            "F0102]: TOML does not know the escape `\\.`",
        ),
        text("a key twice", named(format!("version = 1\nversion = 2\n{WRITE}")), "F0103]"),
        text("a version as text", named(format!("version = \"0.3.0\"\n{WRITE}")), "F0302]: `version` is the revision of this formula"),
        text("an unknown key", named(format!("nmae = 1\n{WRITE}")), "F0201]: unknown key `nmae`"),
        text("an unknown key of a step", named(format!("{WRITE}nedes = []\n")), "did you mean `needs`?"),
        text("an unknown kind", step("write-file", "write-fil"), "did you mean `write-file`?"),
        text("an unknown step", named(format!("{WRITE}needs = [\"b\"]\n")), "F0203]: unknown step `b` in `needs`"),
        text("a step that waits for itself", named(format!("{WRITE}needs = [\"a\"]\n")), "F0401]: step `a` waits for itself"),
        text(
            "a circle",
            named(format!("{WRITE}needs = [\"b\"]\n{second}needs = [\"a\"]\n")),
            "F0401]: steps wait for each other: `a` → `b` → `a`",
        ),
        text("an id twice", named([WRITE, WRITE].concat()), "F0204]: two steps have the id `a`"),
        text("an unknown var", step("\"x\"", "\"{{ vars.nope }}\""), "F0208]: var `nope` is not declared"),
        text("an output of nobody", step("\"x\"", "\"{{ steps.b.outputs.x }}\""), "F0210]: unknown step `b` in a template"),
        text("an unclosed template", step("\"x\"", "\"{{ vars.\""), "F03"),
        text("a param of the wrong type", step("\"x\"", "\"x\", mode = 5"), "F0311]: `mode` must be a text"),
        text("an unknown param", step("\"x\"", "\"x\", mod = \"5\""), "F0309]: kind `write-file` has no param `mod`"),
        text("a missing param", step("path = \"out\", ", ""), "F0310]: kind `write-file` needs `path`"),
        text("a value that the kind refuses", step("\"x\"", "\"x\", mode = \"rw\""), "write it in octal"),
        text("a template in a script", named(SCRIPT.into()), "F0313]: a text for `script` is code and holds no templates"),
        text("words instead of kinds", named(PROSE.into()), "F0406]: prose cannot run: step `a`"),
        text("a required var that nobody gives", named(format!("[vars.v]\nrequired = true\n{WRITE}")), "`v` is required"),
        (
            "no UTF-8",
            [b"name = \"f\"\ndescription = \"\xe9\"\n", WRITE.as_bytes()].concat(),
            "the file is not UTF-8 text, as of byte 26 on line 2",
        ),
        ("UTF-16", b"\xff\xfen\0a\0".to_vec(), "the file is not UTF-8 text, as of byte 0"),
        ("a NUL", [b"name = \"f\"\ndescription = \"a\0b\"\n", WRITE.as_bytes()].concat(), "F0101]: not valid TOML"),
    ]
}

const SCRIPT: &str = "[vars.x]\ndefault = \"\"\n[[steps]]\nid = \"a\"\nuses = \"shell\"\nwith = { script = \"echo {{ vars.x }}\" }\n";
const PROSE: &str = "[[steps]]\nid = \"a\"\ntitle = \"Look around\"\ndescription = \"Read the docs, then decide.\"\n";

/// Nothing is there but what was there.
#[track_caller]
fn assert_untouched(sandbox: &Sandbox, before: &BTreeMap<String, String>, what: &str) {
    assert_eq!(&sandbox.files(), before, "{what}");
    assert!(!sandbox.work().join(".formula").exists(), "{what}: a state directory was made");
}

#[track_caller]
fn assert_said(ran: &Ran, code: i32, said: &str, what: &str) {
    assert!(ran.code == Some(code) && ran.stderr.contains(said), "{what}: expected {code} and `{said}`\n{ran:?}");
    assert!(ran.stdout.is_empty() && !ran.stderr.contains("panic"), "{what}: {ran:?}");
}

#[test]
fn a_file_that_is_no_formula_is_refused_with_its_place() {
    let sandbox = Sandbox::in_memory();
    for (what, bytes, said) in files() {
        sandbox.write("formulas/f.toml", bytes);
        let before = sandbox.files();
        for verb in ["run", "plan"] {
            let ran = formula(&sandbox).args([verb, "f"]).run();
            assert_said(&ran, 10, said, what);
            assert!(ran.stderr.contains("f.toml") || what == "a required var that nobody gives", "{what}: {ran:?}");
        }
        assert_untouched(&sandbox, &before, what);
    }
}

#[test]
fn line_ends_and_marks_of_other_systems_are_no_mistake() {
    let sandbox = Sandbox::in_memory();
    let text = format!("name = \"f\"\n{WRITE}");
    for (number, bytes) in [text.replace('\n', "\r\n").into_bytes(), [b"\xef\xbb\xbf", text.as_bytes()].concat()].into_iter().enumerate() {
        sandbox.write("formulas/f.toml", bytes);
        formula(&sandbox).args(["run", "f"]).run().exits(0);
        assert_eq!(sandbox.read("out"), "x", "{number}");
    }
}

#[test]
fn words_that_make_no_command_are_refused() {
    let sandbox = Sandbox::in_memory();
    sandbox.write("vars.toml", "name = \n");
    sandbox.write("formulas/f.toml", format!("name = \"f\"\n[vars.n]\ntype = \"int\"\ndefault = 1\n{WRITE}"));
    let before = sandbox.files();
    let version = ["--version", "v1.2.3"];
    let table: &[(&[&str], i32, &str)] = &[
        (&["nonsense"], 2, "unrecognized subcommand"),
        (&["run"], 2, "which formula?"),
        (&["run", "helo"], 10, "did you mean `hello`?"),
        (&["run", "./none.toml"], 10, "cannot read `./none.toml`"),
        (&["run", "../formulas"], 10, ""),
        (&["run", "hello", "extra"], 2, "unexpected argument 'extra'"),
        (&["run", "hello", "--bogus"], 2, "unexpected argument '--bogus'"),
        (&["run", "hello", "--nam", "x"], 2, "a similar argument exists: '--name'"),
        (&["run", "hello", "--name"], 2, "a value is required for '--name"),
        (&["run", "hello", "--set", "name"], 2, "`--set name` gives no value"),
        (&["run", "hello", "--set", "nam=x"], 10, "did you mean `--name`?"),
        (&["run", "hello", "--vars", "none.toml"], 2, "none.toml"),
        (&["run", "hello", "--vars", "vars.toml"], 10, "line 1"),
        (&["run", "hello", "--timeout", "soon"], 2, "`soon` is not a duration"),
        (&["run", "hello", "--wait-lock", "5x"], 2, "`5x` is not a duration"),
        (&["run", "hello", "--color", "pink"], 2, "invalid value 'pink'"),
        (&["run", "hello", "--plan", "none"], 11, "cannot be applied"),
        (&["-C", "none", "run", "hello"], 2, "No such file or directory"),
        (&["run", "f", "--n", "x"], 10, "`n`: `x` is"),
        (&["run", "f", "--n", "1", "--n", "2"], 2, "cannot be used multiple times"),
        (&["run", "release"], 10, "`version` is required"),
        (&["run", "release", "--version", "1.2"], 10, "`1.2` is not a version"),
        (&["run", "release", version[0], version[1], "--gate=maybe"], 10, "`maybe` is neither true nor false"),
        (&["run", "release", version[0], version[1], "--image", "-x/y"], 10, "`-x/y` is not an image reference"),
        (&["run", "release", version[0], version[1], "--image", "UPPER/x"], 10, "`UPPER/x` is not an image reference"),
        (&["run", "release", version[0], version[1], "--registry-secret", "NOPE"], 10, "no secret `NOPE` is declared"),
        (&["resume"], 2, "there is no run here yet"),
        (&["resume", "NOPE"], 2, "there is no run"),
        (&["rollback", "--yes"], 2, "there is no run here yet"),
        (&["approve"], 2, "there is no run here yet"),
        (&["cancel"], 2, "there is no run here yet"),
        (&["settle", "X", "y", "--retry", "--reason", "z"], 2, "there is no run"),
        (&["settle", "X"], 2, "required"),
        (&["prune", "--older-than", "x"], 2, "`x` is not a duration"),
    ];
    for (words, code, said) in table {
        let ran = formula(&sandbox).args(words.iter().copied()).run();
        assert_said(&ran, *code, said, &words.join(" "));
        assert_untouched(&sandbox, &before, &words.join(" "));
    }
}

#[test]
fn a_missing_secret_stops_the_run_before_it_begins() {
    let sandbox = Sandbox::in_memory();
    let body =
        format!("name = \"f\"\n[secrets]\nONE = {{ from = \"env:NO_ONE\" }}\nTWO = {{ from = [\"env:NO_TWO\", \"file:two\"] }}\n{WRITE}");
    sandbox.write("formulas/f.toml", format!("{body}secrets = [\"ONE\", \"TWO\"]\n"));
    let before = sandbox.files();
    let ran = formula(&sandbox).args(["run", "f"]).run();
    // Both in one message.
    ran.exits(10).stderr_has("secret `ONE` was not found: `env:NO_ONE` is not set").stderr_has("secret `TWO` was not found");
    assert_eq!(sandbox.files(), before);
    formula(&sandbox).args(["resume"]).run().exits(2).stderr_has("there is no run");
}

#[test]
fn names_that_look_like_options_reach_no_program_as_such() {
    let sandbox = Sandbox::in_memory();
    let git = GitFixture::new(&sandbox);
    git.commit("VERSION", "0.3.0\n", "Version 0.3.0");
    git.git(&["push", "--quiet", "origin", "main"]);
    let before = (sandbox.files(), git.refs("origin"));
    let table: &[(&str, &str, i32, &str)] = &[
        ("--remote", "--upload-pack=touch pwned", 11, "`--upload-pack=touch pwned` is not a remote"),
        ("--mirrors", "--receive-pack=touch pwned", 11, "`--receive-pack=touch pwned` is not a remote"),
        ("--mirrors", "ext::sh -c touch% pwned", 11, "remote `ext::sh -c touch% pwned`"),
        ("--branch", "--output=pwned", 11, "releases are cut from `--output=pwned`"),
        ("--version-file", "../VERSION", 11, "leaves the working directory"),
        ("--version-file", "/etc/passwd", 11, "is outside the working directory"),
    ];
    for (flag, value, code, said) in table {
        let ran = formula(&sandbox).args(["run", "release", "--version", "v0.3.0", flag, value]).run();
        ran.exits(*code).stderr_has(said);
        assert_eq!((sandbox.files(), git.refs("origin")), before, "{flag} {value}");
    }
    for (tag, said) in [("-d", "F0312"), ("--delete", "F0312"), ("refs/tags/x", "F0312")] {
        let step = format!("[[steps]]\nid = \"a\"\nuses = \"git-tag\"\nwith = {{ tag = \"{tag}\" }}\n");
        sandbox.write("f.toml", format!("name = \"f\"\n{step}"));
        let ran = formula(&sandbox).args(["run", "./f.toml"]).run();
        ran.exits(10).stderr_has(said);
    }
    assert_eq!(git.git(&["tag"]), "");
}
