//! What exit codes mean.

use std::fmt::Write as _;

/// Every code with its meaning and what to do.
pub const CODES: [(u8, &str, &str); 15] = [
    (0, "done; `changed` in the verdict says whether anything was needed", "nothing"),
    (1, "a defect of this program, or an error nobody foresaw", "`formula log --json` has what led to it; report it"),
    (2, "the command line is wrong, or what was asked does not fit the run", "read the hint; `formula COMMAND --help`"),
    (10, "a formula, its vars or its secrets are not valid", "`formula check NAME`"),
    (11, "a look before the first effect refused, or the plan is stale: nothing was changed", "mend what it names, then the same command"),
    (12, "another run holds the target", "wait for it, or `--wait-lock 10m`"),
    (20, "held: needs a person", "`formula show` lists the answers that are valid now"),
    (
        21,
        "stopped: by `formula cancel`, by the time limit of `--timeout`, or taken back down to a step",
        "`formula resume`, or the same command: it carries on, and starts anew only after a `formula cancel` before which nothing was done that cannot be taken back",
    ),
    (22, "failed, and everything that the run made is taken back", "mend what it names, then the same command"),
    (23, "failed, and not everything could be taken back", "`formula show`, then `formula rollback` again"),
    (30, "a check found that something is not as it should be", "each finding names its remedy"),
    (74, "the journal cannot be read or written", "make room, or mend the disk; nothing that was reported done is lost"),
    (130, "interrupted (SIGINT)", "the same command, or `formula resume`"),
    (143, "terminated (SIGTERM, SIGHUP, SIGQUIT)", "the same command, or `formula resume`"),
    (137, "killed, by the system's rules (128 + 9): nothing can be said any more", "the same command carries on"),
];

/// The page.
pub(super) fn page() -> String {
    let mut page = String::from("# Exit codes\n\n| Code | Means | What now |\n|--:|---|---|\n");
    let mut codes = CODES;
    codes.sort_unstable();
    for (code, meaning, now) in codes {
        let _ = writeln!(page, "| {code} | {meaning} | {now} |");
    }
    page.push_str(
        "\nA run that was rolled back has failed: `run` and `resume` never answer 0 for it. `formula rollback`, asked for by a person, answers 0 \
         when it took\nback all that it was asked to, else 23.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::CODES;
    use crate::model::Outcome;

    #[test]
    fn every_outcome_has_its_line() {
        let outcomes = [
            Outcome::Done,
            Outcome::Refused,
            Outcome::Held,
            Outcome::Stopped,
            Outcome::RolledBack,
            Outcome::RollbackIncomplete,
            Outcome::Interrupted,
            Outcome::Terminated,
        ];
        for outcome in outcomes {
            assert!(CODES.iter().any(|(code, ..)| *code == outcome.exit_code()), "{outcome:?}");
        }
        let mut codes: Vec<u8> = CODES.iter().map(|(code, ..)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
    }
}
