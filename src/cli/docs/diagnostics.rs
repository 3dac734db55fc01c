//! Every code a problem can have, at length.

use std::fmt::Write as _;

use crate::diagnostic::codes;

/// The page.
pub(super) fn page() -> String {
    let mut page = String::from(
        "# Problems of formulas\n\n`formula check` reports all problems of a file in one go; `formula explain CODE` prints what stands here.\n\
         F01 is TOML, F02 names, F03 types and params, F04 the graph, F05 what runs but is probably not meant, F06 test files.\n\n",
    );
    for entry in codes::all() {
        let _ = writeln!(page, "- [{0}](#{1}) {2}", entry.code, entry.code.to_ascii_lowercase(), entry.title);
    }
    for entry in codes::all() {
        let _ = writeln!(page, "\n## {}\n\n**{}**\n\n{}", entry.code, entry.title, entry.text);
    }
    page
}
