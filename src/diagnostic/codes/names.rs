//! F02: names that are unknown, misspelt, doubled or out of place.

use super::Code;

/// A key that its table does not have.
pub const UNKNOWN_KEY: &str = "F0201";
/// A key that must be there.
pub const MISSING_KEY: &str = "F0202";
/// `needs` names no step.
pub const UNKNOWN_STEP: &str = "F0203";
/// Two steps with one id.
pub const DUPLICATE_ID: &str = "F0204";
/// A name with letters it must not have.
pub const BAD_NAME: &str = "F0205";
/// `name` is not the file's stem.
pub const NAME_NOT_STEM: &str = "F0206";
/// `uses` names no kind.
pub const UNKNOWN_KIND: &str = "F0207";
/// A template refers to a name that is not declared.
pub const UNKNOWN_NAME: &str = "F0208";
/// A template refers to an output that the step does not have.
pub const UNKNOWN_OUTPUT: &str = "F0209";
/// A template refers to a step that is not there.
pub const UNKNOWN_STEP_IN_TEMPLATE: &str = "F0210";
/// `secrets` names no declared secret.
pub const UNKNOWN_SECRET: &str = "F0211";
/// A template refers to a secret.
pub const SECRET_IN_TEMPLATE: &str = "F0212";
/// A template calls a helper that is not there.
pub const UNKNOWN_HELPER: &str = "F0213";
/// A name that exists, but not here.
pub const OUT_OF_PLACE: &str = "F0214";

pub(super) const TABLE: &[Code] = &[
    Code {
        code: UNKNOWN_KEY,
        title: "this table has no such key",
        text: "A key that nobody reads would be silently without effect, so it is refused in every table but [context] and [project].

    [[steps]]
    id    = \"build\"
    need  = [\"preflight\"]        # wrong
    needs = [\"preflight\"]        # right

The nearest known key is named where there is one.",
    },
    Code {
        code: MISSING_KEY,
        title: "a key is missing",
        text: "A formula says at least who it is, and every step has an id:

    name        = \"release\"
    description = \"Tag, build, push and announce one version\"
    version     = 1

    [[steps]]
    id = \"build\"",
    },
    Code {
        code: UNKNOWN_STEP,
        title: "`needs` names a step that is not there",
        text: "`needs` lists ids of steps of the same file. No step has this id.

    needs = [\"biuld\"]        # wrong: misspelt
    needs = [\"build\"]        # right

A step of an inlined formula cannot be named; name the step that inlines it.",
    },
    Code {
        code: DUPLICATE_ID,
        title: "two steps have the same id",
        text: "The id of a step names it in `needs`, in templates, in the journal and on the command line, so it exists once per file,
[[finally]] included. Both places are shown; rename one of them.

    [[steps]]
    id = \"push\"
    [[steps]]
    id = \"push-mirror\"        # not \"push\" again",
    },
    Code {
        code: BAD_NAME,
        title: "this is not a valid name",
        text: "Ids of steps: lower-case letters, digits, `-` and `_`, at most 64, the first one a letter or digit. They become
parts of file names and are typed by people.

    id = \"Build image\"        # wrong
    id = \"build-image\"        # right

Names of formulas may hold dots as well. Names of vars: letters, digits, `-` and `_`, beginning with a letter or `_`.
Names of secrets and environment variables: letters, digits and `_`, not beginning with a digit.",
    },
    Code {
        code: NAME_NOT_STEM,
        title: "`name` differs from the name of the file",
        text: "`formula run release` finds release.toml by its file name, and the journal, the lock and every report use `name`.
Were they different, nobody could tell which formula a run was of.

Rename the file or change `name`, so that release.toml says name = \"release\".",
    },
    Code {
        code: UNKNOWN_KIND,
        title: "`uses` names a kind that is not there",
        text: "`formula steps` lists the kinds, `formula steps KIND` shows the params of one.

    uses = \"docker_build\"        # wrong
    uses = \"docker-build\"        # right",
    },
    Code {
        code: UNKNOWN_NAME,
        title: "a template refers to a name that is not declared",
        text: "A template sees

    {{ vars.NAME }}                       an input declared under [vars.NAME]
    {{ steps.ID.outputs.NAME }}           an output of another step
    {{ run.id }} {{ run.key }} {{ run.formula }} {{ run.started }}
    {{ item }}                            under `foreach`
    {{ env.NAME }}                        an environment variable declared under [env]

and nothing else: a name that is not there is an error before the run, never an empty text in the middle of it.",
    },
    Code {
        code: UNKNOWN_OUTPUT,
        title: "a template refers to an output that the step does not have",
        text: "What a step gives is fixed by its kind (`formula steps KIND` shows it); a `shell` step declares it:

    [[steps]]
    id   = \"preflight\"
    uses = \"shell\"
    with = { file = \"scripts/preflight.sh\", outputs = [\"commit\"] }

and later `{{ steps.preflight.outputs.commit }}`.",
    },
    Code {
        code: UNKNOWN_STEP_IN_TEMPLATE,
        title: "a template refers to a step that is not there",
        text: "`{{ steps.ID.outputs.NAME }}` takes the id of a step of the same file. No step has this id.

    {{ steps.biuld.outputs.image_id }}        # wrong: misspelt
    {{ steps.build.outputs.image_id }}        # right",
    },
    Code {
        code: UNKNOWN_SECRET,
        title: "a secret is not declared",
        text: "A step may name only secrets that the formula declares, so that all of them are found before the first effect.

    [secrets.GITHUB_TOKEN]
    from = [\"env:GITHUB_TOKEN\", \"file:secrets/github-token\"]

    [[steps]]
    secrets = [\"GITHUB_TOKEN\"]",
    },
    Code {
        code: SECRET_IN_TEMPLATE,
        title: "a secret cannot stand in a template",
        text: "A rendered template reaches plans, logs, the journal and argument lists, where a secret must never be. A secret is handed
only to the steps that name it, as an environment variable or through the API they speak:

    with = { command = [\"curl\", \"-H\", \"token {{ secrets.TOKEN }}\"] }        # wrong

    secrets = [\"TOKEN\"]                                                    # right: the script reads $TOKEN
    with    = { file = \"scripts/announce.sh\" }",
    },
    Code {
        code: UNKNOWN_HELPER,
        title: "a template calls a helper that is not there",
        text: "A helper stands first within the braces and takes values after it:

    if = \"{{ eq vars.channel 'stable' }}\"

The known ones are listed with the problem. A helper never touches the world: same input, same text.",
    },
    Code {
        code: OUT_OF_PLACE,
        title: "this name exists, but not here",
        text: "`item` exists only in steps that have `foreach`, `run.summary` only in steps of [[finally]], and outputs of [[finally]]
steps only in other [[finally]] steps: elsewhere they would have no value yet.

    [[finally]]
    id   = \"result\"
    uses = \"write-file\"
    with = { path = \"release/result.json\", content = \"{{ json run.summary }}\" }",
    },
];
