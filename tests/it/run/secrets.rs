//! A secret reaches the step that names it and nothing else.

use std::fs;
use std::path::Path;

use super::{run, write_formula};
use crate::support::{Sandbox, formula};

const VALUE: &str = "s3cr3t>value?of-some/length";

/// Every way in which the steps below say the value: as it is, and in base64 behind nothing, one byte and two bytes.
const SAYS: &str = r#"
[secrets.TOKEN]
from = ["env:MY_TOKEN"]

[[steps]]
id = "blind"
uses = "shell"
with = { script = '[ -z "${TOKEN:-}${MY_TOKEN:-}" ]; ! env | grep -q s3cr3t', read_only = true }

[[steps]]
id = "says"
uses = "shell"
secrets = ["TOKEN"]
with = { idempotent = true, script = '''
printf '%s\n' "raw $TOKEN raw" "in the middle of$TOKEN"
for before in "" a ab; do printf '%s%s' "$before" "$TOKEN" | base64 -w0; echo; printf '%s%s' "$before" "$TOKEN" | base64 -w0 | tr +/ -_; echo; done
printf '%s' "$TOKEN" | od -An -tx1 | tr -d ' \n'; echo
printf '%s' "${TOKEN%value*}"; sleep 0.2; printf '%s\n' "value${TOKEN#*value}"
echo "it failed with $TOKEN" >&2
exit 3''' }
"#;

fn bytes_below(folder: &Path) -> Vec<u8> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { bytes_below(&entry.path()) } else { fs::read(entry.path()).expect("a file") })
        .collect()
}

#[test]
fn a_secret_is_masked_wherever_it_comes_out() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "says", SAYS);
    use base64::Engine as _;
    let standard = base64::engine::general_purpose::STANDARD;
    // The middles of the encodings, which no alignment of the rest can change.
    let mut forms = vec!["s3cr3t>val".to_owned(), "some/length".to_owned(), "7333637233743e".to_owned()];
    for before in ["", "a", "ab"] {
        let text = standard.encode(format!("{before}{VALUE}"));
        let middle = &text[4..text.len() - 4];
        forms.extend([middle.to_owned(), middle.replace('+', "-").replace('/', "_")]);
    }
    for flags in [&["-v"][..], &["--json"], &["--color", "always", "-v"]] {
        let ran = run(&sandbox, "says").args(flags.iter().copied()).env("MY_TOKEN", VALUE).run();
        ran.exits(20);
        assert!(ran.stderr.contains("***") || ran.stdout.contains("***"), "it was said, and masked: {ran:?}");
        for form in &forms {
            ran.never_says(form);
        }
    }
    let kept = bytes_below(&sandbox.work().join(".formula"));
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains("raw *** raw") && kept.contains("it failed with ***"), "the log tells what was said");
    for form in &forms {
        assert!(!kept.contains(form.as_str()), "`{form}` is kept below .formula");
    }
}

#[test]
fn an_output_that_holds_a_secret_is_refused() {
    let sandbox = Sandbox::new();
    let body = r#"
[secrets.TOKEN]
from = ["file:token"]

[[steps]]
id = "gives"
uses = "shell"
secrets = ["TOKEN"]
with = { script = 'echo "key=Bearer $TOKEN" >>"$FORMULA_OUTPUT"', read_only = true, outputs = ["key"] }
"#;
    write_formula(&sandbox, "gives", body);
    sandbox.write("token", format!("{VALUE}\n"));
    let ran = run(&sandbox, "gives").args(["--json"]).run();
    ran.exits(11).never_says(VALUE);
    assert_eq!(ran.verdict()["message"], "output `key` holds the secret `TOKEN`");
    ran.stderr_has("secret file `token` can be read by others");
    assert!(!String::from_utf8_lossy(&bytes_below(&sandbox.work().join(".formula"))).contains(VALUE));
}

#[test]
fn a_plan_runs_no_command_that_has_a_secret() {
    let sandbox = Sandbox::new();
    let look = "[[steps]]\nid = \"a\"\nuses = \"shell\"\nsecrets = [\"TOKEN\"]\nwith = { command = [\"true\"], read_only = true }\n";
    write_formula(&sandbox, "asks", &format!("[secrets.TOKEN]\nfrom = [\"command:sh -c 'touch asked; echo 0123456789'\"]\n\n{look}"));
    formula(&sandbox).args(["plan", "asks"]).run().exits(0);
    assert!(!sandbox.work().join("asked").exists());
    run(&sandbox, "asks").run().exits(0);
    assert!(sandbox.work().join("asked").exists());
}

/// A colour, a bold and a zero byte within the secret, and a line that a CI system would take for a command.
const HIDES: &str = r#"
[secrets.TOK]
from = ["env:TOK"]

[[steps]]
id = "a"
uses = "shell"
secrets = ["TOK"]
with = { idempotent = true, script = '''
printf '\033[31mtok-Abc\033[1m/123\000+xyz=9\033[0m failed\n'
echo '::error file=x::pwn'
exit 3''' }
"#;

#[test]
fn neither_a_colour_within_a_secret_nor_a_command_in_a_log_gets_through() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "hides", HIDES);
    let with = |line: &str| formula(&sandbox).args(line.split(' ')).env("TOK", "tok-Abc/123+xyz=9").env("GITHUB_ACTIONS", "true").run();
    with("run hides").exits(20).stderr_has("***");
    for line in ["resume -v", "show", "log", "resume --json", "log --json"] {
        let ran = with(line);
        ran.never_says("tok-Abc/123+xyz=9").never_says("\u{1b}").never_says("\\u001b[1m/123");
    }
    let printed = with("log 0 a");
    printed.exits(0).stdout_has("pwn").never_says("\n::error file").never_says("tok-Abc/123+xyz=9");
}
