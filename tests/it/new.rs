//! `formula new`: what it writes passes everything as it is.

use crate::support::{Ran, Sandbox, Terminal, formula};

fn ask(sandbox: &Sandbox, args: &[&str]) -> Ran {
    formula(sandbox).args(args.iter().copied()).run()
}

/// It passes every check that an author would make first.
#[track_caller]
fn sound(sandbox: &Sandbox, name: &str) {
    ask(sandbox, &["check", "--strict", name]).exits(0);
    ask(sandbox, &["fmt", "--check", name]).exits(0).stdout_is("");
    ask(sandbox, &["test", name]).exits(0);
}

#[test]
fn flags_say_everything_where_nobody_can_be_asked() {
    let sandbox = Sandbox::new();
    let made = ask(&sandbox, &["new", "hi"]);
    made.exits(0).stdout_is("formulas/hi.toml\nformulas/tests/hi.test.toml\nformulas/formula.schema.json\n").stderr_has("formula check hi");
    assert!(sandbox.read("formulas/hi.toml").starts_with("#:schema ./formula.schema.json\nname        = \"hi\"\n"));
    sound(&sandbox, "hi");
    ask(&sandbox, &["run", "hi", "--quiet"]).exits(0);
    assert_eq!(sandbox.read("hi.txt"), "written by hi\n");

    let vars = ["--var", "version:version", "--var", "port:int=8080", "--var", "to:list=a,b", "--var", "channel:stable|beta=beta"];
    let made =
        ask(&sandbox, &[&["new", "two", "--describe", "Do \"two\" things", "--kind", "shell", "--kind", "shell"], &vars[..]].concat());
    made.exits(0).stdout_is("formulas/two.toml\nformulas/tests/two.test.toml\n");
    sound(&sandbox, "two");
    let text = sandbox.read("formulas/two.toml");
    for part in
        ["description = 'Do \"two\" things'", "[vars.version]", "default     = 8080", "choices     = [\"stable\", \"beta\"]", "\"stamp-2\""]
    {
        assert!(text.contains(part), "no `{part}`:\n{text}");
    }
    assert!(sandbox.read("formulas/tests/two.test.toml").contains("version = \"v1.2.0\""));
}

#[test]
fn a_formula_with_every_kind_is_sound() {
    let sandbox = Sandbox::new();
    let kinds = ask(&sandbox, &["steps", "--json"]).json();
    let names: Vec<&str> = kinds[0]["steps"].as_array().expect("a list").iter().filter_map(|kind| kind["kind"].as_str()).collect();
    assert!(names.len() > 15);
    for kind in &names {
        ask(&sandbox, &["new", &format!("only-{kind}"), "--kind", kind]).exits(0);
        sound(&sandbox, &format!("only-{kind}"));
    }
    let all: Vec<&str> = names.iter().flat_map(|kind| ["--kind", kind]).collect();
    // An approval behind what cannot be taken back is a warning, and rightly so.
    let all = ask(&sandbox, &[&["new", "all"], &all[..]].concat());
    assert!(matches!(all.code, Some(0 | 10)), "{all:?}");
}

#[test]
fn shipped_formulas_are_begun_with_under_another_name() {
    let sandbox = Sandbox::new();
    for from in ["release", "upgrade"] {
        let name = format!("my-{from}");
        let args = ["new", &name, "--from", from, "--describe", "Mine", "--var", "note=x", "--kind", "write-file", "--yes"];
        ask(&sandbox, &args).exits(0);
        sound(&sandbox, &name);
        let text = sandbox.read(&format!("formulas/{name}.toml"));
        assert!(text.contains("description = \"Mine\"\n") && text.contains("[vars.note]"), "{text}");
        assert!(text.contains(&format!("name        = \"{name}\"\n")) && text.contains("uses = \"write-file\""), "{text}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_unsound_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("formulas/a.toml", "mine");
    sandbox.write("formulas/tests/b.test.toml", "mine");
    ask(&sandbox, &["new", "a"]).exits(2).stderr_has("`formulas/a.toml` is there already, nothing was written");
    ask(&sandbox, &["new", "b"]).exits(2).stderr_has("`formulas/tests/b.test.toml` is there already");
    ask(&sandbox, &["new", "c", "--kind", "git-tga"]).exits(2).stderr_has("did you mean `git-tag`?");
    ask(&sandbox, &["new", "c", "--var", "x:int=y"]).exits(2).stderr_has("`y` is not what TOML would take");
    ask(&sandbox, &["new", "c", "--var", "x:version=abc"]).exits(10).stderr_has("error[F0306]").stderr_has("nothing was written");
    ask(&sandbox, &["new", "Not A Name"]).exits(10).stderr_has("error[F0205]");
    assert_eq!(sandbox.files().keys().collect::<Vec<_>>(), ["formulas/a.toml", "formulas/tests/b.test.toml"]);
    ask(&sandbox, &["new", "c", "-o", "elsewhere/c.toml"]).exits(0);
    ask(&sandbox, &["check", "--strict", "elsewhere/c.toml"]).exits(0);
    assert!(sandbox.files().contains_key("elsewhere/tests/c.test.toml"));
}

#[test]
fn on_a_terminal_it_asks() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(&sandbox, &["new", "asked"]);
    terminal.wait_for("What does it do, in one line?").press("\u{15}Greet\r");
    terminal.wait_for("Begin with").wait_for("upgrade").press("\r");
    terminal.wait_for("An input").press("who:int=x\r").wait_for("not what TOML would take").press("who:int=3\r");
    terminal.wait_for("An input").wait_for("Enter").press("\r");
    // The second one, and the first of the page: down, Space, up to wrap, Enter.
    terminal.wait_for("Steps of which kinds?").wait_for("compose-restart").press("j \r");
    terminal.wait_for("Write formulas/asked.toml and its test?").press("y");
    terminal.wait_for("formulas/asked.toml\r\n").wait_for("formula check asked");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.screen);
    sound(&sandbox, "asked");
    let text = sandbox.read("formulas/asked.toml");
    assert!(text.contains("Greet") && text.contains("default     = 3") && text.contains("uses = \"compose-restart\""), "{text}");
}

#[test]
fn who_stops_or_says_no_has_nothing_written() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::start(&sandbox, &["new", "a"]);
    terminal.wait_for("What does it do, in one line?").press("\r").wait_for("Begin with").press("\u{3}");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.screen);
    assert!(terminal.screen.contains("\u{1b}[?25h"), "the cursor is back: {:?}", terminal.screen);
    // Typed ahead, while no question reads.
    let mut terminal = Terminal::start(&sandbox, &["new", "a"]);
    terminal.wait_for("What does it do, in one line?").press("\r\u{3}");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.screen);
    let mut terminal = Terminal::start(&sandbox, &["new", "a", "--describe", "x", "--kind", "shell", "--var", "a=b"]);
    terminal.wait_for("and its test?").press("n");
    assert_eq!(terminal.end(), Some(21), "{}", terminal.screen);
    assert!(sandbox.files().is_empty());
}
