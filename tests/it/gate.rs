//! Gates that say who may answer them, and how.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox, formula, me};

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
fn whoever_answers_a_gate_that_is_open_to_all_is_known_by_the_name_that_the_system_has() {
    let sandbox = waiting("expires = \"1h\"");
    formula(&sandbox).args(["run", "ship"]).env("USER", "nobody-of-here").run().exits(20);
    formula(&sandbox).args(["approve"]).env("USER", "nobody-of-here").run().exits(0);
    let log = ask(&sandbox, "log --json").exits(0).json();
    let named: Vec<_> = log.iter().filter_map(|entry| entry["event"]["by"].as_str()).collect();
    assert_eq!(named, [me(), me()], "who started it, and who approved");
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
        ("proof = \"word\"", "`proof` is `word`, and it may be `terminal`, `file` or `forge`"),
        ("proof = \"forge\"", "needs `proof_url`"),
        ("proof = \"forge\", proof_url = \"https://h/x\"", "needs `approvers`"),
        ("proof = \"file\"", "needs `proof_file`"),
        ("approvers = [\"a:b\"]", "`a:b` is not the name of a user"),
    ] {
        ask(&waiting(rules), "check").exits(10).stderr_has(told);
    }
}

/// The part of a forge that is asked here; a whole one cannot be started on a machine for tests.
struct Forge {
    port: u16,
    /// Lists by path. A second page is that of the path with `?page=2`.
    lists: Arc<Mutex<BTreeMap<String, Value>>>,
    thread: Option<JoinHandle<()>>,
}

/// Whoever has no such token is not let in.
const TOKEN: &str = "s3cret-of-the-forge";

impl Forge {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let lists: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
        let held = lists.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((path, token)) = asked(&stream) else { return };
                let lists = held.lock().expect("nobody panics with it");
                let (status, body) = match lists.get(&path) {
                    _ if token != format!("token {TOKEN}") => ("401 Unauthorized", "{}".to_owned()),
                    Some(list) => ("200 OK", list.to_string()),
                    None => ("404 Not Found", "{}".to_owned()),
                };
                let second = format!("{path}?page=2");
                let link = if lists.contains_key(&second) {
                    format!("Link: <http://127.0.0.1:{port}{second}>; rel=\"next\"\r\n")
                } else {
                    String::new()
                };
                let length = body.len();
                let _ = write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{link}Connection: close\r\n\r\n{body}");
            }
        });
        Self { port, lists, thread: Some(thread) }
    }

    fn says(&self, path: &str, list: Value) {
        self.lists.lock().expect("nobody panics with it").insert(path.to_owned(), list);
    }
}

/// Path and token of a request; None for one that says nothing, which ends the server.
fn asked(stream: &TcpStream) -> Option<(String, String)> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let token = headers.iter().find_map(|line| line.to_ascii_lowercase().starts_with("authorization: ").then(|| line[15..].to_owned()));
    Some((path, token.unwrap_or_default()))
}

impl Drop for Forge {
    fn drop(&mut self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

#[test]
fn a_word_at_the_forge_proves_an_approval_by_who_wrote_it() {
    let forge = Forge::start();
    let url = format!("http://127.0.0.1:{}/issues/1/comments", forge.port);
    let sandbox = waiting(&format!("approvers = [\"ada\"], proof = \"forge\", proof_url = \"{url}\", proof_token = \"FORGE_TOKEN\""));
    let approve = |token: &str| formula(&sandbox).args(["approve"]).env("FORGE_TOKEN", token).run();
    ask(&sandbox, "run ship --yes").exits(20).stderr_has("set FORGE_TOKEN in the environment");
    let digest = ask(&sandbox, "show --json").json()[0]["steps"][0]["gate"]["digest"].as_str().expect("a digest").to_owned();
    ask(&sandbox, "show").stdout_has("comments, which is sent what FORGE_TOKEN holds\n");
    approve("other-than-that")
        .exits(2)
        .stderr_has("answered 401, so nothing is proven")
        .stderr_has("may the token in FORGE_TOKEN read that?");
    approve(TOKEN).exits(2).stderr_has("answered 404").never_says(TOKEN);
    let word = |login: &str, body: &str| json!({ "user": { "login": login }, "body": body });
    let with = |mut entry: Value, key: &str, value: Value| {
        entry[key] = value;
        entry
    };
    let approved = word("Ada", &format!("Fine: `{digest}`"));
    let edited = with(with(approved.clone(), "created_at", json!("1")), "updated_at", json!("2"));
    for (list, told) in [
        (json!([]), "nobody who may has done that"),
        (json!([word("ada", "fine"), word("eve", &digest), word("ada", &format!("{digest}0"))]), "nobody who may has done that"),
        (json!([with(approved.clone(), "state", json!("CHANGES_REQUESTED"))]), "nobody who may has done that"),
        (json!([with(with(approved.clone(), "state", json!("APPROVED")), "dismissed", json!(true))]), "nobody who may has done that"),
        (json!([edited]), "the comment of `ada` that approves gate `sure` was edited afterwards"),
        (json!({ "message": "no list" }), "is no list of comments or reviews"),
    ] {
        forge.says("/issues/1/comments", list);
        approve(TOKEN).exits(2).stderr_has(told);
    }
    // The word of an older question is none for this one, so the digest had to be named; it may stand on a later page.
    forge.says("/issues/1/comments", json!([word("eve", "me too")]));
    forge.says("/issues/1/comments?page=2", json!([with(approved, "state", json!("APPROVED"))]));
    approve(TOKEN).exits(0);
    ask(&sandbox, "run ship --json").exits(0);
    let log = ask(&sandbox, "log");
    log.exits(0).stdout_has("approved by ada").never_says(TOKEN);
    for (path, content) in sandbox.files() {
        assert!(!content.contains(TOKEN), "the token is in {path}");
    }
}

#[test]
fn a_forge_that_does_not_answer_proves_nothing() {
    // Nothing has listened there for decades.
    let sandbox = waiting("approvers = [\"ada\"], proof = \"forge\", proof_url = \"http://127.0.0.1:1/issues/1/comments\"");
    ask(&sandbox, "run ship --yes").exits(20).stderr_has("cannot be asked, so nothing is proven");
    let shown = ask(&sandbox, "show");
    shown
        .exits(0)
        .stdout_has("who may answer: `ada`")
        .stdout_has("an approval is proven by a word at http://127.0.0.1:1/issues/1/comments\n");
    // Who is no user of the forge can still say no.
    ask(&sandbox, "approve --deny --reason no").exits(0);
    ask(&sandbox, "log").exits(0).stdout_has("denied by");
}
