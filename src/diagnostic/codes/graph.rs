//! F04: the order of steps does not work out.

use super::Code;

/// Steps that wait for each other.
pub const CYCLE: &str = "F0401";
/// `needs` between steps and finally steps.
pub const NEEDS_ACROSS: &str = "F0402";
/// More than 100,000 steps.
pub const TOO_MANY_STEPS: &str = "F0403";
/// Defaults of vars that refer to each other in a circle.
pub const DEFAULT_CYCLE: &str = "F0404";

/// Formulas that inline each other.
pub const INLINE_CYCLE: &str = "F0405";
/// A formula whose steps say in words what to do.
pub const PROSE_STEP: &str = "F0406";
/// A formula that cannot be inlined.
pub const INLINE: &str = "F0407";

pub(super) const TABLE: &[Code] = &[
    Code {
        code: CYCLE,
        title: "steps wait for each other in a circle",
        text: "The whole path is shown, with the reason for each link of it. A step comes after

    - the steps in its `needs`,
    - or, without `needs`, the step written before it,
    - and every step whose outputs its templates use.

Break one link: take an id out of `needs`, write `needs = []` on a step that need not follow the one before it, or move the step
that gives an output above the step that uses it.",
    },
    Code {
        code: NEEDS_ACROSS,
        title: "`needs` mixes steps and finally steps",
        text: "Steps of [[finally]] run once all other steps are over, however that ended. They follow all of them already, so `needs`
there may name only other [[finally]] steps, and a normal step can never wait for a finally step.

    [[finally]]
    id    = \"result\"
    needs = [\"push\"]        # wrong: leave it out",
    },
    Code {
        code: TOO_MANY_STEPS,
        title: "more than 100,000 steps",
        text: "A run keeps the state of every step, and a person has to be able to look at it. Past 100,000 steps split the formula, or
let one step work on many things.

The limit also holds after `foreach` and `formula` steps are expanded.",
    },
    Code {
        code: DEFAULT_CYCLE,
        title: "defaults of vars refer to each other in a circle",
        text: "The default of a var may be a template over other vars, but not over itself, directly or through others.

    [vars.image]
    default = \"{{ vars.registry }}/agents\"
    [vars.registry]
    default = \"{{ vars.image }}\"        # wrong: give one of them a fixed default",
    },
    Code {
        code: INLINE_CYCLE,
        title: "a formula inlines itself",
        text: "A step with `uses = \"formula\"` is replaced by the steps of that formula when the run is planned, so formulas that inline each
other would never end. The whole path is shown.

    release → notify → release        # take the step out of one of them",
    },
    Code {
        code: PROSE_STEP,
        title: "a prose step cannot run",
        text: "A step without `uses` says in words what is to be done. Such formulas can be listed, drawn and shown; running one stops before
anything is touched. Give every step a kind:

    [[steps]]
    id   = \"build\"
    uses = \"docker-build\"
    with = { context = \".\", tags = [\"acme/agents:{{ vars.version }}\"] }

What no kind does, `uses = \"shell\"` does with a script, and `uses = \"approve\"` waits for a person who does it.",
    },
    Code {
        code: INLINE,
        title: "a formula cannot be inlined",
        text: "The formula that a step names cannot be read, or does not take the values that the step gives to its vars. It is looked for where
`formula run NAME` looks, and is checked as if it were run by itself.

    uses = \"formula\"
    with = { formula = \"notify\", vars = { text = \"released {{ vars.version }}\" } }

Its vars may hold outputs of other steps, but not where a default of another var or a `foreach` uses them: those are settled when the
run is planned.",
    },
];
