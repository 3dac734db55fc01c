//! The help of every command.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::super::root::Root;
use super::super::vars;

/// Columns of help, whatever terminal it is made on.
const WIDTH: usize = 100;

/// The page.
pub(super) fn page() -> String {
    let mut root = Root::command().term_width(WIDTH);
    root.build();
    let mut page =
        format!("# Command line\n\nData goes to stdout, everything else to stderr.\n\n{}", block(&root.render_long_help().to_string()));
    let names: Vec<String> = root
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in &names {
        let help = match vars::VERBS.iter().find(|verb| *verb == name) {
            Some(verb) => vars::help_of(verb, WIDTH),
            None => root
                .find_subcommand_mut(name)
                .map(|command| command.clone().term_width(WIDTH).render_long_help().to_string())
                .unwrap_or_default(),
        };
        let _ = write!(page, "\n## `formula {name}`\n\n{}", block(&help));
        let below = root.find_subcommand(name).into_iter().flat_map(clap::Command::get_subcommands);
        for command in below.filter(|command| command.get_name() != "help") {
            let help = command.clone().term_width(WIDTH).render_long_help().to_string();
            let _ = write!(page, "\n### `formula {name} {}`\n\n{}", command.get_name(), block(&help));
        }
    }
    page
}

fn block(help: &str) -> String {
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n").trim())
}
