//! What the fuzz targets do with bytes. The tests do the same with the corpus, without a fuzzer.
//!
//! Nothing is expected of the answer but that there is one: no panic, and the same for the same bytes.

use formula::diagnostic::SourceFile;
use formula::rehearse::{self, Subject};
use formula::syntax::{self, Builtin, Options};
use formula::template;

/// A formula that a fuzzed test file is about.
const REHEARSED: &str = r#"
name = "f"
description = "One step of each sort"
version = 1

[vars.text]
default = "hello"

[[steps]]
id   = "note"
uses = "write-file"
with = { path = "note", content = "{{ vars.text }}" }

[[steps]]
id   = "say"
uses = "shell"
with = { command = ["echo", "hello"], read_only = true }
"#;

/// Any bytes as a formula: checked, as it is and with what TOML does not know let through; and laid out.
pub fn formula(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let source = SourceFile::new("f.toml", text);
    for lenient in [false, true] {
        let parsed = syntax::check(&source, &Builtin::default(), Options { lenient, ..Options::default() });
        for problem in &parsed.diagnostics {
            let shown = problem.message.lines().map(|line| line.chars().count()).max();
            assert!(shown.unwrap_or(0) < 4096, "a message is for people: {}", problem.message);
        }
    }
    let layout = |text: &str| formula::format::format(&SourceFile::new("f.toml", text), Options::default()).ok();
    if let Some(laid) = layout(text) {
        assert_eq!(layout(&laid).as_deref(), Some(&*laid), "what is laid out stays as it is");
    }
}

/// Any text as a template: what it refers to, and what comes of it.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let value = serde_json::json!({ "a": ["1", 2, null], "version": "v1" });
    let scope: serde_json::Map<_, _> = ["vars", "steps", "run"].map(|root| (root.to_owned(), value.clone())).into_iter().collect();
    let known = template::references(text);
    let rendered = template::render_text(text, &scope);
    assert!(known.is_ok() || rendered.is_err(), "what cannot be read cannot be rendered: {text:?}");
}

/// Any bytes as a test file of a formula of two steps, rehearsed where they are one.
pub fn test_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (formula, test) = (SourceFile::new("f.toml", REHEARSED), SourceFile::new("f.test.toml", text));
    let subject = Subject { formula: &formula, test: Some(&test), kinds: formula_steps::all().collect() };
    let nothing_inlined = &mut |_: &str| Err(Vec::new());
    let _ = rehearse::rehearse(&subject, &rehearse::Options::default(), nothing_inlined);
}
