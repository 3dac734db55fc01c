//! What authors may rely on.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn scope() -> Map<String, Value> {
    let Value::Object(map) = json!({
        "vars": { "version": "v0.3.0", "n": 3, "on": true, "off": false, "zero": "0", "list": ["a", "b"], "none": null, "empty": [],
                  "table": { "k": "v" }, "html": "<&\"'>" },
        "steps": { "my-step": { "outputs": { "image_id": "sha256:1", "list": [{ "name": "x" }, { "name": "y" }] } } },
    }) else {
        unreachable!("written as an object")
    };
    map
}

fn value(text: &str) -> Value {
    render(&json!(text), &scope()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> TemplateError {
    render(&json!(text), &scope()).expect_err(text)
}

#[test]
fn a_whole_expression_keeps_its_type_and_text_around_it_makes_text() {
    assert_eq!(value("{{ vars.list }}"), json!(["a", "b"]));
    assert_eq!(value("{{vars.n}}"), json!(3));
    assert_eq!(value("{{ vars.none }}"), Value::Null);
    assert_eq!(value("{{ not vars.on }}"), json!(false));
    assert_eq!(value("{{ default vars.empty vars.list }}"), json!(["a", "b"]));
    assert_eq!(value("n={{vars.n}} on={{vars.on}}"), json!("n=3 on=true"));
    assert_eq!(value("{{ steps.my-step.outputs.image_id }}"), json!("sha256:1"));
    assert_eq!(value("{{ steps.[my-step].outputs.list.1.name }}"), json!("y"));
    assert_eq!(render_text("{{ vars.none }}", &scope()).unwrap(), "");
    assert_eq!(whole("{{ vars.list }}").unwrap().path, ["vars", "list"]);
    assert_eq!(whole("{{ vars.list }}").unwrap().range, 3..12);
    for text in ["{{ vars.list }} ", "{{ json vars.list }}", "plain", "{{ broken"] {
        assert_eq!(whole(text), None, "{text}");
    }
    assert!(is_whole("{{ json vars.list }}") && !is_whole("a{{ vars.n }}"));
}

#[test]
fn nothing_is_escaped_and_braces_can_be_written() {
    assert_eq!(value("{{ vars.html }}|{{{ vars.html }}}"), json!("<&\"'>|<&\"'>"));
    assert_eq!(value("\\{{.ID}} {{ vars.n }}"), json!("{{.ID}} 3"));
    assert_eq!(value("a{{! nothing }}b"), json!("ab"));
}

#[test]
fn helpers_do_what_they_say() {
    for (text, expected) in [
        ("{{ eq vars.version \"v0.3.0\" }}", json!(true)),
        ("{{ eq vars.n \"3\" }}", json!(true)),
        ("{{ ne vars.n 3.0 }}", json!(false)),
        ("{{ and vars.on vars.zero }}", json!(false)),
        ("{{ or vars.off (eq vars.n 3) }}", json!(true)),
        ("{{ json vars.table }}", json!("{\"k\":\"v\"}")),
        ("{{ join vars.list }}", json!("a,b")),
        ("{{ join vars.list \" + \" }}", json!("a + b")),
        ("{{ default vars.nowhere \"x\" }}", json!("x")),
        ("{{ default steps.skipped.outputs.commit vars.version }}", json!("v0.3.0")),
        ("{{ default vars.off true }}", json!(false)),
        ("{{ semver_gt vars.version \"0.2.9\" }}", json!(true)),
        ("{{ semver_lt \"1.0.0-rc.1\" \"v1.0.0\" }}", json!(true)),
        ("{{ semver_eq \"v1.0.0+a\" \"1.0.0+b\" }}", json!(true)),
        ("{{ semver_ge vars.version vars.version }}", json!(true)),
        ("{{ semver_le vars.version \"0.2.0\" }}", json!(false)),
        ("{{ strip_v vars.version }}", json!("0.3.0")),
        ("{{ strip_v \"version\" }}", json!("version")),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn blocks_choose_and_repeat() {
    assert_eq!(value("{{#if vars.on}}yes{{else}}no{{/if}}"), json!("yes"));
    assert_eq!(value("{{#if vars.off}}a{{else if (eq vars.n 3)}}b{{else}}c{{/if}}"), json!("b"));
    assert_eq!(value("{{#unless vars.zero}}empty{{/unless}}"), json!("empty"));
    assert_eq!(value("{{#each vars.list}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}"), json!("0a,1b"));
    assert_eq!(value("{{#each vars.table as |v k|}}{{k}}={{v}};{{vars.n}}{{/each}}"), json!("k=v;3"));
    assert_eq!(value("{{#each steps.my-step.outputs.list as |o|}}{{o.name}}{{this.name}}{{/each}}"), json!("xxyy"));
    assert_eq!(value("{{#each vars.empty}}x{{else}}nothing{{/each}}"), json!("nothing"));
    assert_eq!(value("{{#if steps.gone.outputs.x}}a{{/if}}"), json!(""));
}

#[test]
fn what_is_unknown_or_has_no_text_is_an_error_with_path_and_place() {
    let unknown = error("v{{ vars.versoin }}");
    assert_eq!(unknown.path.as_deref(), Some(&["vars".to_owned(), "versoin".to_owned()][..]));
    assert_eq!(unknown.range, Some(4..16));
    assert_eq!(unknown.message, "unknown name `vars.versoin`");
    assert_eq!(error("{{ steps.a.outputs.b }}").message, "unknown name `steps.a.outputs.b`: there is no `steps.a`");
    let list = error("x {{ vars.list }}");
    assert!(list.message.starts_with("`vars.list` is a list"), "{list}");
    assert!(list.help.unwrap().contains("{{ join vars.list"));
    assert!(error("x {{ vars.none }}").message.contains("`vars.none` has no value"));
    assert!(error("{{ semver_gt vars.html \"1.0.0\" }}").message.contains("is not a semantic version"));
    assert!(error("{{ join vars.n }}").message.contains("takes a list"));
    for (text, part) in [
        ("{{ vars.n", "not closed"),
        ("{{ .ID }}", "not well formed"),
        ("{{#if vars.n}}x", "not well formed"),
        ("{{#if vars.n}}x{{/each}}", "is closed by"),
        ("{{#with vars.n}}x{{/with}}", "unknown block"),
        ("{{ upper vars.n }}", "unknown helper `upper`"),
        ("{{ eq vars.n }}", "takes 2 arguments"),
        ("{{ json vars.n pretty=true }}", "no named arguments"),
        ("{{> other }}", "no partials"),
        ("{{ this }}", "only inside"),
        ("{{ @index }}", "unknown name `@index`"),
    ] {
        let found = references(text).expect_err(text);
        assert!(found.message.contains(part), "{text}: {found}");
    }
    assert_eq!(references("a {{ upper vars.n }}").expect_err("no such helper").range, Some(5..10));
}

#[test]
fn references_are_found_wherever_they_stand_with_their_places() {
    let text = "{{#if (or vars.a 'vars.no')}}{{ steps.b-c.outputs.d }}{{else if vars.e}}{{json vars.f}}{{/if}}{{#each vars.g as |h|}}{{h}}{{this}}{{vars.a}}{{/each}}";
    let found = references(text).unwrap();
    let names: Vec<_> = found.iter().map(Reference::dotted).collect();
    assert_eq!(names, ["vars.a", "steps.b-c.outputs.d", "vars.e", "vars.f", "vars.g", "vars.a"]);
    for reference in &found {
        assert_eq!(&text[reference.range.clone()], reference.dotted());
    }
    assert!(found.windows(2).all(|pair| pair[0].range.start < pair[1].range.start));
}

#[test]
fn conditions_take_missing_outputs_as_false() {
    let scope = scope();
    for (text, expected) in [
        ("", false),
        ("0", false),
        ("false", false),
        ("{{ vars.zero }}", false),
        ("{{ vars.empty }}", false),
        ("{{ steps.skipped.outputs.x }}", false),
        ("{{ vars.list }}", true),
        ("{{ vars.off }}x", true),
        ("{{ not steps.skipped.outputs.x }}", true),
    ] {
        assert_eq!(holds(text, &scope).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_costs_too_much_is_refused() {
    let deep = format!("{{{{ {}vars.n{} }}}}", "(not ".repeat(40), ")".repeat(40));
    assert!(references(&deep).unwrap_err().message.contains("nest"));
    let blocks = "{{#if vars.n}}".repeat(40);
    assert!(references(&blocks).unwrap_err().message.contains("nest"));
    assert!(references(&"{{vars.n}}".repeat(1_001)).unwrap_err().message.contains("1000 templates"));
    assert!(references(&format!("{}{{{{vars.n}}}}", "x".repeat(70_000))).unwrap_err().message.contains("65536 bytes"));
    let Value::Object(scope) = json!({ "big": "x".repeat(600_000), "list": vec![0; 2_000] }) else { unreachable!("written so") };
    assert!(render_text("{{big}}{{big}}", &scope).unwrap_err().message.contains("1048576 bytes"));
    assert!(render_text("{{#each list}}{{#each ../list}}{{/each}}{{/each}}", &scope).unwrap_err().message.contains("too often"));
    let long = "x".repeat(2_000_000);
    assert_eq!(render_text(&long, &scope).unwrap(), long, "text without braces is not touched");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn rendering_never_panics(text in "(\\{\\{|\\}\\}|\\{|\\}|#|/|\\^|~|!|--|>|\\*|&|if|else|each|unless|vars|this|steps|as \\||\\||@index|\\.|\\.\\.|\\[|\\]|\\(|\\)|\"|'|=|eq|not|json|\\\\| |\n|1|-|é){0,24}") {
        let _ = render_text(&text, &scope());
        let _ = references(&text);
        let _ = holds(&text, &scope());
    }

    #[test]
    fn tags_never_panic(inside in "[a-z.@#/^~!>*&()\\[\\]\"'= |\\\\0-9{}-]{0,20}", after in "(x|\\{\\{/if\\}\\}|\\{\\{else\\}\\}|\\{\\{else if a\\}\\}|\\{\\{/each\\}\\}|\\{\\{#if a\\}\\}|\\{\\{#each a\\}\\}|\n){0,8}") {
        let _ = render_text(&format!("{{{{{inside}}}}}{after}"), &scope());
        let _ = render_text(&format!("{after}{{{{{inside}}}}}"), &scope());
    }

    #[test]
    fn text_without_braces_stays_as_it_is(text in "[^{]*") {
        prop_assert_eq!(render_text(&text, &scope()).unwrap(), text);
    }

    #[test]
    fn values_arrive_unchanged(content in any::<String>(), pre in "[a-z ]*", post in "[a-z ]*") {
        let Value::Object(scope) = json!({ "vars": { "x": content } }) else { unreachable!("written so") };
        prop_assert_eq!(render(&json!("{{ vars.x }}"), &scope).unwrap(), json!(content));
        prop_assert_eq!(render_text(&format!("{pre}{{{{ vars.x }}}}{post}"), &scope).unwrap(), format!("{pre}{content}{post}"));
    }

    #[test]
    fn quoted_text_comes_back(text in "(\\{\\{|\\}\\}|\\\\|\"|'|x|\n|\\{|é|\u{1}){0,12}") {
        let quoted = quote(&text);
        prop_assert_eq!(render_text(&quoted, &scope()).unwrap(), text);
        prop_assert_eq!(references(&quoted).unwrap(), []);
    }

    #[test]
    fn places_are_those_of_the_names(names in prop::collection::vec("vars\\.[a-z]{1,3}", 1..6), between in "[a-z ]{0,3}") {
        let text = names.iter().fold(String::new(), |text, name| format!("{text}{between}{{{{ {name} }}}}"));
        let found = references(&text).unwrap();
        prop_assert_eq!(found.len(), names.len());
        for (reference, name) in found.iter().zip(&names) {
            prop_assert_eq!(&text[reference.range.clone()], name.as_str());
        }
    }
}
