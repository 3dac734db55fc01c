//! The layout, on small texts.

use std::collections::BTreeSet;

use super::*;
use crate::syntax::{Builtin, file_schema};

fn laid_out(text: &str) -> String {
    let source = SourceFile::new("x.toml", text);
    let once = format(&source, Options::default()).unwrap();
    let again = format(&SourceFile::new("x.toml", once.as_str()), Options::default()).unwrap();
    assert_eq!(once, again, "twice is not once");
    once
}

#[test]
fn keys_come_in_order_and_comments_go_with_them() {
    let text = "#:schema ./x.json\n\n# what it is\nversion=1 # revision\nname = 'x'\n\n\n\n[vars.a]\ndefault = 1\n# what else\ntype = \"int\"\n\
                # about b\n[vars . b]\n\n\ntype=\"int\"\n\n# apart\n\n[[steps]]\nwith = { b=1,a = [ 1,2 ] }\nuses = \"shell\"\nid = \"s\"\n# end";
    assert_eq!(
        laid_out(text),
        "#:schema ./x.json\n\n# what it is\nname    = 'x'\nversion = 1  # revision\n\n[vars.a]\n# what else\ntype    = \"int\"\n\
         default = 1\n\n# about b\n[vars.b]\ntype = \"int\"\n\n# apart\n\n[[steps]]\nid   = \"s\"\nuses = \"shell\"\n\
         with = { b = 1, a = [1, 2] }\n# end\n"
    );
}

#[test]
fn values_over_several_lines_are_indented_by_their_brackets() {
    let text = "a = [\n\n1 , # one\n      2,   # two\n\n\n  3, {x=1} ]\nbb = [{\nc = '''\n  kept \n''',\n}]\nd = 1979-05-27  07:32:00\n";
    let text = text.replace("  07", " 07");
    assert_eq!(
        laid_out(&text),
        "a  = [\n  1, # one\n  2,   # two\n\n  3, { x = 1 }]\nbb = [{\n  c = '''\n  kept \n''',\n}]\nd  = 1979-05-27 07:32:00\n"
    );
}

#[test]
fn line_ends_and_a_byte_order_mark_stay() {
    assert_eq!(laid_out("\u{feff}a=1\r\nb=\"\"\"x\r\ny\"\"\"\r\n"), "\u{feff}a = 1\r\nb = \"\"\"x\r\ny\"\"\"\r\n");
    assert_eq!(laid_out(""), "");
    assert_eq!(laid_out("\n\n# only this"), "# only this\n");
}

#[test]
fn remarks_stand_in_one_column_within_a_group() {
    assert_eq!(laid_out("a = 1 # x\nbbb = 222 # y\nc = 3\n\nd=4 #z\n"), "a   = 1    # x\nbbb = 222  # y\nc   = 3\n\nd = 4  #z\n");
}

#[test]
fn params_keep_their_order_and_quoted_keys_their_quotes() {
    let text = "[steps.with]\nz = 1\n\"a b\".c = 2\n";
    assert_eq!(laid_out(text), "[steps.with]\nz       = 1\n\"a b\".c = 2\n");
}

#[test]
fn what_is_no_toml_is_not_touched() {
    let refused = format(&SourceFile::new("x.toml", "a = \n"), Options::default()).unwrap_err();
    assert!(matches!(refused, Refused::NotToml(found) if found.iter().all(|problem| problem.code.starts_with("F01"))));
    let twice = format(&SourceFile::new("x.toml", "a = 1\na = 2\n"), Options::default()).unwrap_err();
    assert!(matches!(twice, Refused::NotToml(found) if found[0].code == "F0103"));
}

#[test]
fn every_key_that_the_reader_knows_has_its_place() {
    let schema = file_schema(&Builtin::default());
    for (table, order) in [
        (&schema, &order::FORMULA[..]),
        (&schema["$defs"]["step"], &order::STEP[..]),
        (&schema["$defs"]["var"], &order::VAR[..]),
        (&schema["$defs"]["secret"], &order::SECRET[..]),
    ] {
        let known: BTreeSet<&str> = table["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, order.iter().copied().collect());
    }
}
