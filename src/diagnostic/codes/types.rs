//! F03: values of the wrong type or shape, and params that a kind does not take.

use super::Code;

/// A value of another type than its key takes.
pub const WRONG_TYPE: &str = "F0301";
/// `version` is not the revision number of the formula.
pub const BAD_VERSION: &str = "F0302";
/// A value that is not allowed here.
pub const BAD_VALUE: &str = "F0303";
/// Not a duration, or not a range of waits.
pub const BAD_DURATION: &str = "F0304";
/// A var that is required and has a default, or neither.
pub const REQUIRED_XOR_DEFAULT: &str = "F0305";
/// A default that is not a value of the var.
pub const BAD_DEFAULT: &str = "F0306";
/// A pattern that is no regular expression.
pub const BAD_PATTERN: &str = "F0307";
/// A source of a secret that cannot be read.
pub const BAD_SOURCE: &str = "F0308";
/// A param that the kind does not have.
pub const UNKNOWN_PARAM: &str = "F0309";
/// A param that the kind demands.
pub const MISSING_PARAM: &str = "F0310";
/// A param of another type or value than the kind takes.
pub const PARAM_TYPE: &str = "F0311";
/// Params that do not fit together.
pub const PARAM_REFUSED: &str = "F0312";
/// A template in text that a shell will read.
pub const SHELL_TEMPLATE: &str = "F0313";
/// A template that cannot be read.
pub const BAD_TEMPLATE: &str = "F0314";
/// `foreach` over something that is not known when the run is planned.
pub const FOREACH: &str = "F0315";
/// `with` and the like on a step that has no `uses`.
pub const PARAMS_WITHOUT_KIND: &str = "F0316";

pub(super) const TABLE: &[Code] = &[
    Code {
        code: WRONG_TYPE,
        title: "a value has the wrong type",
        text: "The key takes another type of value than it was given.

    needs = \"build\"          # wrong: a text
    needs = [\"build\"]        # right: a list of texts

    required = \"true\"        # wrong: a text
    required = true          # right",
    },
    Code {
        code: BAD_VERSION,
        title: "`version` is the revision of the formula, a whole number",
        text: "`version` counts the revisions of this formula, from 1; it is not the version of the product that the formula releases.

    version = \"0.3.0\"        # wrong
    version = 3              # right

The version to release is an input, given when the formula is run:

    [vars.version]
    type     = \"version\"
    required = true",
    },
    Code {
        code: BAD_VALUE,
        title: "a value is not allowed here",
        text: "The type is right, the value is not one of those that the key takes; the message lists or describes them.

    on_failure = \"undo\"            # wrong
    on_failure = \"rollback\"        # right",
    },
    Code {
        code: BAD_DURATION,
        title: "this is not a duration",
        text: "A duration is a number with a unit, or several of them: 500ms, 90s, 5m, 1h30m, 2d. The waits of a retry are one duration,
or two with `..` between them: the first wait and the longest one.

    timeout = 30                                      # wrong: thirty what?
    timeout = \"30m\"                                   # right
    retry   = { attempts = 3, wait = \"2s..30s\" }      # right",
    },
    Code {
        code: REQUIRED_XOR_DEFAULT,
        title: "a var is either required or has a default",
        text: "A default of a required var would never be used; a var with neither would have no value where nobody gives one.

    [vars.version]
    required = true

    [vars.registry]
    default = \"ghcr.io/acme\"

    [vars.notes]
    default = \"\"               # may be left out, and is empty then",
    },
    Code {
        code: BAD_DEFAULT,
        title: "the default is not a value of this var",
        text: "A default must pass the same test as a value that a person types: the type, the choices, the pattern. The empty text is
allowed for every var that is a text: it says that nothing is given.

    [vars.retries]
    type    = \"int\"
    default = \"3\"        # wrong: a text; write 3",
    },
    Code {
        code: BAD_PATTERN,
        title: "`pattern` is not a regular expression",
        text: "The syntax is that of Rust's regex crate: no look-around, no back-references. The whole value need not match unless the
pattern says so with ^ and $. Single quotes keep backslashes as they are.

    pattern = '^v\\d+\\.\\d+\\.\\d+$'",
    },
    Code {
        code: BAD_SOURCE,
        title: "this is not a source of a secret",
        text: "Sources are tried in order, the first that has the secret wins:

    from = [
      \"env:GITHUB_TOKEN\",                        an environment variable
      \"file:secrets/github-token\",               a file
      \"sops:secrets/release.enc.yaml#github\",    sops --decrypt, then a key of it
      \"age:secrets/gh.age\",                      age --decrypt
      \"command:pass show gh\",                    standard output of a command, run without a shell
    ]",
    },
    Code {
        code: UNKNOWN_PARAM,
        title: "the kind has no such param",
        text: "`formula steps KIND` shows the params of a kind. The nearest one is named where there is one.

    uses = \"docker-build\"
    with = { dockerFile = \"Dockerfile\" }        # wrong
    with = { dockerfile = \"Dockerfile\" }        # right",
    },
    Code {
        code: MISSING_PARAM,
        title: "the kind demands a param",
        text: "The `with` table of the step lacks a param without which the kind cannot work. `formula steps KIND` shows all of them.

    uses = \"write-file\"
    with = { content = \"hello\" }                          # wrong: where to?
    with = { path = \"greeting.txt\", content = \"hello\" }   # right",
    },
    Code {
        code: PARAM_TYPE,
        title: "a param has the wrong type or value",
        text: "The param takes another type of value, or one of a fixed set. A template that is exactly one reference keeps the type of what
it refers to; text around a reference makes it a text.

    with = { tags = \"{{ vars.image }}:1\" }          # wrong: one text, `tags` is a list
    with = { tags = [\"{{ vars.image }}:1\"] }        # right
    with = { tags = \"{{ vars.tags }}\" }             # right where vars.tags is a list",
    },
    Code {
        code: PARAM_REFUSED,
        title: "the params do not fit together",
        text: "Each param is fine by itself, but the kind refuses them as they are: two that exclude each other, one of several that must be
there, a text of the wrong form. The message is the kind's own; `formula steps KIND` has the rules.

    with = { command = [\"make\"], script = \"make\" }        # wrong: two ways to say what to run
    with = { command = [\"make\"] }                         # right",
    },
    Code {
        code: SHELL_TEMPLATE,
        title: "shell text is never a template",
        text: "Whatever a template puts into a script, the shell reads as code: a version named `$(rm -rf .)` would be run. Values go into
the environment instead, where they stay values:

    with = { script = \"git tag {{ vars.version }}\" }                        # wrong

    env  = { VERSION = \"{{ vars.version }}\" }                               # right
    with = { script = 'git tag \"$VERSION\"' }

    with = { command = [\"git\", \"tag\", \"{{ vars.version }}\"] }               # right: no shell at all

A script that needs two literal braces stands in a file of its own: with = { file = \"scripts/list.sh\" }.",
    },
    Code {
        code: BAD_TEMPLATE,
        title: "a template cannot be read",
        text: "A template is text with references in two pairs of braces, {{ vars.version }}, or with a helper before its values,
{{ eq vars.channel 'stable' }}. Something at the marked place is not like that: braces left open, a name with odd characters, a
number of values the helper does not take.",
    },
    Code {
        code: FOREACH,
        title: "`foreach` must be known when the run is planned",
        text: "A step with `foreach` is expanded into one step per item before anything runs, so that a plan can show all of them and each
can be resumed by itself. It takes a list, or a reference to a var that is a list:

    foreach = [\"codeberg\", \"github\"]
    foreach = \"{{ vars.mirrors }}\"

Outputs of steps are not known yet when a run is planned. A step that must work on what another one found does so in one step.",
    },
    Code {
        code: PARAMS_WITHOUT_KIND,
        title: "a step has params but no kind",
        text: "A step without `uses` is prose: it is listed, drawn and shown, never run. `with`, `env`, `secrets`, `if`, `foreach`, `retry` and
`timeout` mean nothing on it, so one of them says that `uses` was forgotten.

    [[steps]]
    id   = \"build\"
    uses = \"docker-build\"
    with = { context = \".\" }",
    },
];
