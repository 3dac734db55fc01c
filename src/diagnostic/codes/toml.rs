//! F01: the file is not TOML, or not one that is read.

use super::Code;

/// Not valid TOML.
pub const SYNTAX: &str = "F0101";
/// An escape that TOML does not know.
pub const ESCAPE: &str = "F0102";
/// The same key or table twice.
pub const DUPLICATE_KEY: &str = "F0103";
/// Bytes that are not UTF-8.
pub const NOT_UTF8: &str = "F0104";
/// More than 16 MiB, or more in it than its steps can need.
pub const TOO_LARGE: &str = "F0105";
/// Tables and lists nested more than 32 deep.
pub const TOO_DEEP: &str = "F0106";

pub(super) const TABLE: &[Code] = &[
    Code {
        code: SYNTAX,
        title: "the file is not valid TOML",
        text: "A formula is one TOML file. The marked place does not follow TOML's grammar, so nothing after it can be trusted;
names and types are checked once the file can be read.

Often it is a missing quote or bracket on the line before, or a text without quotes:

    title = Build the image        # wrong
    title = \"Build the image\"      # right

The grammar: https://toml.io/en/v1.0.0",
    },
    Code {
        code: ESCAPE,
        title: "TOML does not know this escape",
        text: "In a text in double quotes a backslash begins an escape, and TOML knows only
\\b \\t \\n \\f \\r \\e \\\" \\\\ \\xHH \\uHHHH \\UHHHHHHHH and a backslash at the end of a line.

    pattern = \"v\\d+\\.\\d+\"         # wrong: \\d and \\. are no escapes
    pattern = 'v\\d+\\.\\d+'         # right: single quotes take everything literally
    pattern = \"v\\\\d+\\\\.\\\\d+\"     # right as well

`--lenient` reads such a file as if the backslash were doubled, and warns.",
    },
    Code {
        code: DUPLICATE_KEY,
        title: "a key or table is written twice",
        text: "TOML allows each key once per table, and each table header once. Both places are shown.

    [vars.version]
    required = true
    [vars.version]        # wrong: give the second one another name, or join both
    type = \"version\"

Steps are a list, so their header has two brackets and may repeat: [[steps]].",
    },
    Code {
        code: NOT_UTF8,
        title: "the file is not UTF-8 text",
        text: "TOML files are UTF-8. The file holds a byte sequence that is not, at the place named. It may have been saved as
Latin-1 or UTF-16, or it may not be a text at all.

    iconv -f latin1 -t utf-8 old.toml > new.toml",
    },
    Code {
        code: TOO_LARGE,
        title: "the file is too large",
        text: "A formula is read whole and stored with every run of it. Past 16 MiB something else was probably meant: check the path.
The same holds for a file with far more in it than its steps can need: 300,000 words and signs and 30,000 templates, and 200 and
10 more for each step. Those of real formulas have 60 to 110 words and signs.

Data that a step needs belongs into a file of its own, named in the step's `with` table.",
    },
    Code {
        code: TOO_DEEP,
        title: "tables or lists are nested more than 32 deep",
        text: "Nothing a formula can say needs more than a handful of levels. The limit keeps a damaged or hostile file from
exhausting the stack of whoever reads it.

Deep data belongs into a file of its own, named in the step's `with` table.",
    },
];
