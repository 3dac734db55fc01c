//! Rendering the shipped template for a box with many agents: render, read as YAML, check, compare with the file before.
//!
//! `cargo bench --bench compose_regen [agents]`; 500 agents are to take less than 300 ms.

use std::fmt::Write as _;
use std::time::Instant;

use formula_steps::compose_file::{Inputs, SHIPPED_TEMPLATE, TEMPLATE_NAME, Template, render};

fn project(agents: usize) -> String {
    let mut text = "name = \"harb\"\nrepo = \"johba/harb\"\n[ci]\nwoodpecker_repo_id = 3\n".to_owned();
    for n in 0..agents {
        write!(text, "[agents.bot-{n}]\nbase_url = \"http://10.0.0.1:8081\"\nmodel = \"qwen\"\nroles = [\"dev\", \"review\"]\n")
            .expect("a string takes everything");
    }
    text
}

fn inputs(agents: usize) -> Inputs {
    let mut inputs = Inputs::default();
    inputs.data.push("projects", "projects/harb.toml", &project(agents)).expect("it is TOML");
    inputs
}

#[expect(clippy::print_stdout, reason = "the numbers are for the person who runs the benchmark")]
fn main() {
    let agents = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(500);
    let template = Template { name: TEMPLATE_NAME, text: SHIPPED_TEMPLATE };
    let before = render(&template, &inputs(agents.max(1) - 1)).expect("it renders");
    let mut taken = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        let rendered = render(&template, &inputs(agents)).expect("it renders");
        let rendering = start.elapsed();
        let found = rendered.differences_from(&before.text);
        taken.push((start.elapsed(), rendering, rendered.text.len(), found.len()));
    }
    taken.sort();
    let (whole, rendering, bytes, differences) = taken[taken.len() / 2];
    println!("{agents} agents: {whole:.1?} (rendering {rendering:.1?}), {bytes} bytes, {differences} differences to one agent less");
}
