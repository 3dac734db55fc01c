//! F06: a test file, or the `[test]` table of a formula, does not fit.

use super::Code;

/// The file does not have the shape of a test file.
pub const TEST_FILE: &str = "F0601";
/// It names something that the formula does not have.
pub const TEST_NAME: &str = "F0602";
/// Its vars do not fit the formula.
pub const TEST_VARS: &str = "F0603";
/// It does not say what a `shell` step does.
pub const TEST_STUB: &str = "F0604";

pub(super) const TABLE: &[Code] = &[
    Code {
        code: TEST_FILE,
        title: "the test file is not one",
        text: "A test file is TOML with the keys that docs/guide/test-files.md lists: `vars`, `secrets`, `env`, `world`, `shell`, `gates`,
`fault`, `expect`, `acts_again` and `case`. The marked place holds another key, a value of another type, or something that cannot be so.

    [world.file]                 # wrong: the key is `files`
    [world.files]                # right
    \"VERSION\" = \"0.3.0\\n\"",
    },
    Code {
        code: TEST_NAME,
        title: "the test file names what the formula does not have",
        text: "Steps, gates and secrets of a test file are those of the formula. An item of a `foreach` step is named as it is shown
(`mirror[codeberg]`), all of them by the step (`mirror`).

    [shell.biuld]                # wrong, if the step is `build`
    [shell.build]                # right

`[shell.STEP]` is for steps of the kind `shell`; all others do in the fake world what they do.",
    },
    Code {
        code: TEST_VARS,
        title: "the vars of the test file do not fit the formula",
        text: "A rehearsal needs what a run needs: every required var, and values of the right type.

    [vars]
    version = \"v0.3.0\"",
    },
    Code {
        code: TEST_STUB,
        title: "nothing says what a shell step does",
        text: "A rehearsal starts no programs. What a `shell` step does is said in the test file: its exit code, what it prints, its outputs, the
files it writes and removes. Its `probe` then tells whether that was done, and its `undo` puts everything back, unless the test file
says what they do instead.

    [shell.build]
    outputs = { digest = \"sha256:1\" }
    writes  = { \"out/app\" = \"binary\" }

    [shell.build.undo]           # only where it is not simply put back
    removes = [\"out/app\"]",
    },
];
