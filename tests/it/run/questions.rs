//! Questions on a terminal that come after a run was driven: signals mean there what they mean everywhere.

use std::time::Instant;

use rustix::process::Signal;

use super::stop::{SOON, is_stopped};
use super::{run, write_formula};
use crate::support::{Sandbox, Terminal, formula};

const ASKS: &str = r#"
[[steps]]
id = "sure"
uses = "approve"
with = { prompt = "Sure?" }

[[steps]]
id = "go"
uses = "write-file"
with = { path = "gone", content = "x" }
"#;

#[test]
fn signals_end_a_question_with_their_exit_code_and_leave_the_terminal_as_it_was() {
    for (signal, name, code) in
        [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143), (Signal::HUP, "SIGHUP", 143), (Signal::QUIT, "SIGQUIT", 143)]
    {
        let sandbox = Sandbox::new();
        write_formula(&sandbox, "asks", ASKS);
        let mut terminal = Terminal::start(&sandbox, &["run", "asks"]);
        let before = terminal.modes();
        terminal.wait_for("sure: Sure? [y/N] ").signal(signal);
        assert_eq!(terminal.end(), Some(code), "{}", terminal.screen);
        assert_eq!(terminal.modes(), before);
        assert!(terminal.screen.contains(&format!("{name} came instead of an answer")), "{}", terminal.screen);
        formula(&sandbox).args(["approve"]).run().exits(0);
        run(&sandbox, "asks").run().exits(0);
    }
}

#[test]
fn ctrl_z_stops_a_question_which_is_asked_again_after_fg() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "asks", ASKS);
    let mut terminal = Terminal::start(&sandbox, &["run", "asks"]);
    terminal.wait_for("sure: Sure? [y/N] ").signal(Signal::TSTP);
    let begun = Instant::now();
    while !is_stopped(terminal.pid()) {
        assert!(begun.elapsed() < SOON, "{}", terminal.screen);
        std::thread::yield_now();
    }
    terminal.signal(Signal::CONT);
    terminal.wait_for("sure: Sure? [y/N] ").press("y\n");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.screen);
    assert!(sandbox.work().join("gone").exists());
}

#[test]
fn the_question_before_a_rollback_hears_signals_too() {
    let sandbox = Sandbox::new();
    write_formula(&sandbox, "asks", ASKS);
    run(&sandbox, "asks").args(["--yes"]).run().exits(0);
    let mut terminal = Terminal::start(&sandbox, &["rollback"]);
    terminal.wait_for("[y/N] ").signal(Signal::INT);
    assert_eq!(terminal.end(), Some(130), "{}", terminal.screen);
    assert!(sandbox.work().join("gone").exists());
}
