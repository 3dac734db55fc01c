//! What is read, what is changed, and what is left alone.

use super::*;

fn edited(text: &str, key: &str, value: &str) -> String {
    let mut file = EnvFile::parse(text).unwrap();
    file.set(key, value).unwrap();
    file.to_string()
}

fn read(text: &str) -> Reading {
    EnvFile::parse(text).unwrap().read("K")
}

#[test]
fn values_are_known_only_where_all_readers_agree() {
    for (text, value) in [
        ("K=a", "a"),
        ("K=", ""),
        ("K=a\r\n", "a"),
        ("export K=a # why", "a"),
        ("  export\tK=a#b", "a#b"),
        ("\u{feff}K=a", "a"),
        ("K='a $b \\n' # x", "a $b \\n"),
        ("K=\"it's \\$5 \\\"x\\\" \\\\ \\.\"", "it's $5 \"x\" \\ \\."),
        ("K='two\nlines'\nL=1", "two\nlines"),
        ("K=1\nK=2", "2"),
    ] {
        assert_eq!(read(text), Reading::Value(value.to_owned()), "{text:?}");
    }
    for text in
        ["K=a b", "K = a", "K: a", "K= a", "K=$x", "K=\"$x\"", "K=\"a\\nb\"", "K=it's", "K='it\\'s'", "K=~", "K='a'b", "K= # x", "K=a\t#x"]
    {
        assert_eq!(read(text), Reading::Unclear, "{text:?}");
    }
    for text in ["", "# K=old", "K_EXTRA=1", "XK=1", "export K", "x.y='\nK=1\n'"] {
        assert_eq!(read(text), Reading::Missing, "{text:?}");
    }
    assert_eq!(EnvFile::parse("A=1\nB='x\nK=2\n"), Err(2));
}

#[test]
fn only_the_line_of_the_key_changes() {
    for (text, value, expected) in [
        ("A=1\nK=old\nB=2", "new", "A=1\nK=new\nB=2"),
        ("A=1\n", "x", "A=1\nK=x\n"),
        ("A=1", "x", "A=1\nK=x\n"),
        ("", "x", "K=x\n"),
        ("K=a", "a", "K=a"),
        ("K=\"a\"", "a", "K=\"a\""),
        ("K=a", "b", "K=b\n"),
        ("# K=old\nK_EXTRA=1\n", "x", "# K=old\nK_EXTRA=1\nK=x\n"),
        ("  export K=old  # why\r\nB=1\r\n", "new", "  export K=new  # why\r\nB=1\r\n"),
        ("A=1\r\n", "x y", "A=1\r\nK='x y'\r\n"),
        ("K='a' # why\n", "", "K='' # why\n"),
        ("K = a\n", "a", "K=a\n"),
        ("\u{a0}K=a\n", "a", "K=a\n"),
        ("\u{feff}K=a\n", "b", "\u{feff}K=b\n"),
        ("K=x\nA=1\nK=y\n", "x", "A=1\nK=x\n"),
        ("K=x\nK=x\n", "x", "K=x\n"),
        ("K='two\nlines'\nA=1\n", "one", "K=one\nA=1\n"),
    ] {
        assert_eq!(edited(text, "K", value), expected, "{text:?}");
    }
}

#[test]
fn assignments_that_cannot_be_taken_apart_are_left_alone() {
    let mut file = EnvFile::parse("A='1' K=2\n").unwrap();
    assert!(file.set("K", "x").is_err());
    assert!(file.unset("K").is_err());
    file.set("B", "x").unwrap();
    assert_eq!(file.to_string(), "A='1' K=2\nB=x\n");
}

#[test]
fn unset_takes_every_assignment_and_nothing_else() {
    let mut file = EnvFile::parse("K=1\n# K=2\nexport K=3\nKK=4\nK='5\n6'\n").unwrap();
    file.unset("K").unwrap();
    assert_eq!(file.to_string(), "# K=2\nKK=4\n");
}

#[test]
fn quoting_is_as_light_as_the_value_allows() {
    for (value, expected) in [
        ("", ""),
        ("v1.2.3", "v1.2.3"),
        ("https://x.test:80/a?b", "'https://x.test:80/a?b'"),
        ("a b", "'a b'"),
        ("$x", "'$x'"),
        ("it's $5", "\"it's \\$5\""),
        ("a\\", "\"a\\\\\""),
        ("a\\\\", "'a\\\\'"),
        ("`x`", "'`x`'"),
    ] {
        assert_eq!(quote(value).unwrap(), expected, "{value:?}");
    }
    for value in ["a\0", "a\rb", "it's `x`", "`\\"] {
        quote(value).unwrap_err();
    }
}

#[test]
fn what_names_a_secret_is_told_by_the_key() {
    for key in ["FORGE_TOKEN", "FORGE_PASS_X_PASS", "DB_PASSWORD", "API_KEY", "SECRET", "x_token"] {
        assert!(is_secret(key), "{key}");
    }
    for key in ["MONKEY", "VERSION", "TOKENS", "PASSAGE", "COMPASS"] {
        assert!(!is_secret(key), "{key}");
    }
}
