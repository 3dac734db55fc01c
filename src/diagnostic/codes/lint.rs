//! F05: what runs, but probably not as meant.

use super::Code;

/// A one-way step before a later check.
pub const CHECK_TOO_LATE: &str = "F0501";
/// A reversible step without an undo.
pub const UNDO_MISSING: &str = "F0502";
/// A tag before the image it names is verified.
pub const TAG_TOO_EARLY: &str = "F0503";
/// A secret in an argument list.
pub const SECRET_IN_ARGV: &str = "F0504";
/// A template in text that a shell will read.
pub const TEMPLATE_IN_SCRIPT: &str = "F0505";
/// A floating tag that flows on.
pub const FLOATING_TAG: &str = "F0506";
/// A step that a person must settle after a crash.
pub const HOLDS_AFTER_CRASH: &str = "F0507";
/// A step tied to nothing.
pub const ISOLATED_STEP: &str = "F0508";
/// A health check that is always green.
pub const CHECK_CANNOT_FAIL: &str = "F0509";
/// An approval that comes after what cannot be taken back.
pub const APPROVAL_TOO_LATE: &str = "F0510";

pub(super) const TABLE: &[Code] = &[
    Code {
        code: CHECK_TOO_LATE,
        title: "a one-way step runs before a check",
        text: "When the check fails, what the one-way step did cannot be taken back: a rollback stops there.

Move the check before the step, or, where it can only be made afterwards, give the step an undo so that it is no longer one-way
(for `shell` an `undo` command, for `git-push` and `image-push` `undo = \"delete\"`).

    build → check → push        # the check still decides
    build → push → check        # the check can only report",
    },
    Code {
        code: UNDO_MISSING,
        title: "a step does not say how it is taken back",
        text: "The formula rolls back on failure, and this step changes something without saying how that is put back: the rollback stops at it.

    with = { script = \"systemctl stop app\", idempotent = true, undo = \"systemctl start app\" }",
    },
    Code {
        code: TAG_TOO_EARLY,
        title: "a tag is created before the image it names is verified",
        text: "A tag v1.2.3 promises that the image of that version is there. Should the push fail after it, the promise is broken and the tag
has to be taken back from everyone who fetched it.

Let the `git-tag` step come after the `image-push` step: write it below, or name the push in its `needs`.",
    },
    Code {
        code: SECRET_IN_ARGV,
        title: "a secret ends up in an argument list",
        text: "Argument lists are readable by every user of the machine (`ps`) and land in logs. Hand a secret over in the environment, in a
file or on standard input:

    with = { command = [\"tool\", \"--token\", \"$TOKEN\"] }      # wrong, and without a shell not even replaced

    secrets = [\"TOKEN\"]                                      # right: the tool reads TOKEN itself
    with    = { command = [\"tool\"] }",
    },
    Code {
        code: TEMPLATE_IN_SCRIPT,
        title: "a template is spliced into shell code",
        text: "The command is a shell with code as its argument, and a template stands in that code: the shell will read whatever value it gets as
code. Values go into the environment:

    with = { command = [\"sh\", \"-c\", \"git tag {{ vars.version }}\"] }        # warned of

    env  = { VERSION = \"{{ vars.version }}\" }
    with = { script = 'git tag \"$VERSION\"' }",
    },
    Code {
        code: FLOATING_TAG,
        title: "a floating tag flows to a later step",
        text: "`latest`, `main` and the like name another image tomorrow, or after somebody else's push a second ago. Two steps that use one may
work on different images.

Use what the earlier step gave, or a fixed version:

    image = \"registry.example/app:latest\"                    # warned of
    image = \"{{ steps.build.outputs.image_id }}\"             # right",
    },
    Code {
        code: HOLDS_AFTER_CRASH,
        title: "a step will hold after a crash",
        text: "If the machine stops while this step runs, nobody can tell whether it did its work: it has no `probe` to ask and does not say
that it may be repeated. The run will wait for a person.

    with = { command = [\"./deploy.sh\"] }                                        # warned of
    with = { command = [\"./deploy.sh\"], idempotent = true }                     # may be run again
    with = { command = [\"./deploy.sh\"], probe = [\"./deployed.sh\"] }             # can be asked
    with = { command = [\"./look.sh\"], read_only = true }                        # changes nothing",
    },
    Code {
        code: ISOLATED_STEP,
        title: "a step is tied to nothing",
        text: "`needs = []`, no reference to another step, and no step that waits for it: it runs at once and beside everything else, in a formula
whose other steps have an order. Often a `needs` was forgotten.

If it is meant, let a later step name it in `needs`, so that somebody waits for its end.",
    },
    Code {
        code: CHECK_CANNOT_FAIL,
        title: "a health check cannot fail",
        text: "The check is green whatever the world looks like: it has nothing to check, accepts every answer, or runs a command that always
succeeds. It gives confidence that nobody earned.

    checks = [{ type = \"command\", command = [\"true\"] }]                            # warned of
    checks = [{ type = \"http\", url = \"http://127.0.0.1:8080/health\" }]           # can fail",
    },
    Code {
        code: APPROVAL_TOO_LATE,
        title: "an approval comes after the point of no return",
        text: "Somebody is asked for leave when a step that cannot be taken back is done already. Denying would leave the work half done.

Move the `approve` step before the first one-way step, or ask earlier as well.

    preflight → build → approve → push        # asks while everything can still be taken back",
    },
];
