//! What the cases share: projects of a box, and the shipped template filled with them.

mod kind;
mod real;
mod rendering;

use formula_steps::compose_file::{Inputs, Mode, RenderError, Rendered, SHIPPED_TEMPLATE, Template, render};

/// A project without agents.
pub const HARB: &str = "\
name = \"harb\"
repo = \"johba/harb\"
[ci]
woodpecker_repo_id = 3
";

/// An agent's table.
pub fn agent(name: &str, user: &str) -> String {
    format!("[agents.{name}]\nbase_url = \"http://10.0.0.1:8081\"\nmodel = \"qwen\"\nroles = [\"dev\"]\nforge_user = \"{user}\"\n")
}

/// The project with these tables after it.
pub fn harb(more: &str) -> String {
    format!("{HARB}{more}")
}

pub fn inputs(projects: &[(&str, &str)]) -> Inputs {
    let mut inputs = Inputs::default();
    inputs.data.list("projects");
    for (file, text) in projects {
        inputs.data.push("projects", file, text).unwrap();
    }
    inputs
}

/// The shipped template filled with these project files.
pub fn try_shipped(projects: &[(&str, &str)], mode: Mode) -> Result<Rendered, RenderError> {
    let template = Template { name: "docker-compose.yml.hbs", text: SHIPPED_TEMPLATE };
    render(&template, &Inputs { mode, ..inputs(projects) })
}

pub fn shipped(projects: &[(&str, &str)]) -> Rendered {
    try_shipped(projects, Mode::Pinned).unwrap()
}

/// The lines of a service in a rendered text.
pub fn stanza<'a>(rendered: &'a Rendered, service: &str) -> &'a str {
    let start = rendered.text.find(&format!("\n  {service}:\n")).unwrap_or_else(|| panic!("no service {service}:\n{}", rendered.text)) + 1;
    let rest = &rendered.text[start + 3..];
    let end = rest.match_indices('\n').find(|(at, _)| {
        let next = rest[at + 1..].trim_start_matches(' ');
        let indent = rest[at + 1..].len() - next.len();
        indent <= 2 && !next.starts_with('\n') && !next.is_empty()
    });
    &rendered.text[start..end.map_or(rendered.text.len(), |(at, _)| start + 3 + at)]
}
