//! Runs that are stopped, killed, cancelled, or met by another one.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{pipe, run, write_formula};
use crate::support::{Running, Sandbox, formula};

/// Opens a pipe that nobody reads with an error instead of waiting for a reader.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
/// Less than the grace of ten seconds that a step has to end.
pub(super) const SOON: Duration = Duration::from_secs(8);

/// Its second step says `ready` and does what `script` says, the first time. Run again it just succeeds.
fn write_waiting(sandbox: &Sandbox, script: &str) {
    let body = format!(
        r#"
[[steps]]
id = "first"
uses = "write-file"
with = {{ path = "first", content = "" }}

[[steps]]
id = "waits"
uses = "shell"
with = {{ idempotent = true, script = '''
[ ! -e again ] || exit 0
touch again
{script}''' }}

[[steps]]
id = "last"
uses = "write-file"
with = {{ path = "last", content = "" }}
"#
    );
    write_formula(sandbox, "waiting", &body);
}

/// Starts the run and waits until its second step is at work.
#[track_caller]
fn start(sandbox: &Sandbox) -> Running {
    let mut running = run(sandbox, "waiting").args(["-v"]).start();
    assert!(running.wait_for_line(|line| line.ends_with("waits | ready")), "{:?}", running.finish());
    running
}

/// It stopped half-way, left nothing behind, and can be carried on.
#[track_caller]
fn assert_resumable(sandbox: &Sandbox) {
    assert_eq!(sandbox.survivors(), [0; 0]);
    assert!(sandbox.work().join("first").exists() && !sandbox.work().join("last").exists());
    run(sandbox, "waiting").run().exits(0).stderr_has("carrying on with run");
    assert!(sandbox.work().join("last").exists());
}

/// Whether a process is stopped, as Ctrl-Z stops one.
pub(super) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

#[test]
fn ctrl_z_stops_the_steps_with_the_run_and_fg_wakes_them() {
    let sandbox = Sandbox::new();
    pipe(&sandbox, "pipe");
    // Without a child that is just being made: until it is, its parent is not seen as stopped.
    write_waiting(&sandbox, "exec 3<>pipe\necho ready\nread line <&3");
    let running = start(&sandbox);
    running.signal(Signal::TSTP);
    let stopped = || is_stopped(running.pid()) && sandbox.survivors().into_iter().all(is_stopped);
    let begin = Instant::now();
    while !stopped() {
        assert!(begin.elapsed() < SOON, "{:?}", sandbox.survivors());
        std::thread::yield_now();
    }
    assert!(sandbox.survivors().len() > 1, "the step is there, and stopped");
    running.signal(Signal::CONT);
    fs::write(sandbox.work().join("pipe"), "go\n").expect("the step reads it");
    running.finish().exits(0);
    assert!(sandbox.work().join("last").exists());
}

#[test]
fn signals_end_the_whole_tree_soon_and_the_run_can_be_carried_on() {
    // With a grandchild: in front, and in the background (where a shell makes it deaf to SIGINT). It waits without a child of its own: one
    // that is made while the signal is on its way, by a shell that holds signals back meanwhile, would never hear of it.
    for (signal, code, script) in [
        (Signal::INT, 130, "sh -c 'exec 3<>pipe; echo ready; read line <&3'; :"),
        (Signal::TERM, 143, "sh -c 'exec 3<>pipe; echo ready; read line <&3' & wait"),
        (Signal::HUP, 143, "sh -c 'exec 3<>pipe; echo ready; read line <&3' & wait"),
        // No time to end is given to anybody.
        (Signal::QUIT, 143, "trap '' INT TERM HUP QUIT; sh -c 'exec 3<>pipe; echo ready; read line <&3'; :"),
    ] {
        let sandbox = Sandbox::new();
        pipe(&sandbox, "pipe");
        write_waiting(&sandbox, script);
        let running = start(&sandbox);
        assert!(sandbox.survivors().len() >= 3, "driver, child and grandchild");
        let sent = Instant::now();
        running.signal(signal);
        running.finish().exits(code).stderr_has("next: formula resume [RUN]");
        assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
        assert_resumable(&sandbox);
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let sandbox = Sandbox::new();
    write_waiting(&sandbox, "trap '' INT TERM; echo ready; sleep 600");
    let mut running = start(&sandbox);
    let sent = Instant::now();
    running.signal(Signal::INT);
    assert!(running.wait_for_line(|line| line.contains("stopping by")));
    running.signal(Signal::INT);
    running.finish().exits(130);
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
    assert_resumable(&sandbox);
}

#[test]
fn a_step_that_ignores_the_signal_is_killed_after_its_grace() {
    let sandbox = Sandbox::new();
    write_waiting(&sandbox, "trap '' INT TERM; echo ready; sleep 600");
    let running = start(&sandbox);
    let sent = Instant::now();
    running.signal(Signal::TERM);
    running.finish().exits(143);
    assert!(sent.elapsed() > SOON, "it had its ten seconds: {:?}", sent.elapsed());
    assert_resumable(&sandbox);
}

#[test]
fn a_killed_driver_leaves_a_child_that_must_end_first() {
    let sandbox = Sandbox::new();
    pipe(&sandbox, "gate");
    write_waiting(&sandbox, "echo ready; cat gate");
    let mut running = start(&sandbox);
    let driver = running.pid();
    running.kill();
    running.finish().was_killed();
    let orphans = sandbox.survivors();
    assert!(!orphans.is_empty() && !orphans.contains(&driver));

    let refused = run(&sandbox, "waiting").run();
    refused.exits(12).stderr_has("still at work").stderr_has("cat gate");
    for orphan in &orphans {
        refused.stderr_has(&format!("pid {orphan}: "));
    }
    run(&sandbox, "hello").run().exits(12).stderr_has("still at work");
    formula(&sandbox).args(["rollback", "--yes"]).run().exits(12);

    fs::write(sandbox.work().join("gate"), "").expect("somebody reads it");
    assert!(run(&sandbox, "waiting").run().exits(0).stderr.contains("carrying on with run"));
    assert!(sandbox.work().join("last").exists());
    assert_eq!(sandbox.survivors(), [0; 0]);
}

#[test]
fn the_second_of_two_runs_is_told_who_holds_the_first() {
    let sandbox = Sandbox::new();
    pipe(&sandbox, "gate");
    write_waiting(&sandbox, "echo ready; cat gate");
    let first = start(&sandbox);
    let holder = format!("pid {} of {}", first.pid(), crate::support::me());
    for name in ["waiting", "hello"] {
        let second = run(&sandbox, name).run();
        second.exits(12).stderr_has("another run holds the lock `workdir`").stderr_has(&holder).stderr_has("--wait-lock");
    }
    run(&sandbox, "hello").args(["--wait-lock", "300ms"]).run().exits(12);
    let third = run(&sandbox, "hello").args(["--wait-lock", "2m"]).start();
    fs::write(sandbox.work().join("gate"), "").expect("somebody reads it");
    first.finish().exits(0);
    third.finish().exits(0);
}

#[test]
fn a_cancelled_run_ends_after_what_is_in_flight_and_asked_twice_at_once() {
    let cancel = |sandbox: &Sandbox, more: &[&str]| formula(sandbox).args([&["cancel"], more].concat()).run();
    let sandbox = Sandbox::new();
    pipe(&sandbox, "gate");
    write_waiting(&sandbox, "echo ready; cat gate");
    let mut running = start(&sandbox);
    cancel(&sandbox, &[]).exits(0).stderr_has("asked the driver of run [RUN] to stop");
    assert!(running.wait_for_line(|line| line.contains(&format!("stopping by {}", crate::support::me()))));
    fs::write(sandbox.work().join("gate"), "").expect("it still reads");
    running.finish().exits(21).stderr_has("✓ waits").stderr_has("next: formula resume [RUN]");
    assert!(!sandbox.work().join("last").exists());
    formula(&sandbox).args(["resume"]).run().exits(0);
    assert!(sandbox.work().join("last").exists());

    let sandbox = Sandbox::new();
    pipe(&sandbox, "gate");
    write_waiting(&sandbox, "echo ready; cat gate");
    let running = start(&sandbox);
    cancel(&sandbox, &[]).exits(0);
    cancel(&sandbox, &[]).exits(0);
    running.finish().exits(21);
    assert_eq!(sandbox.survivors(), [0; 0]);

    let sandbox = Sandbox::new();
    pipe(&sandbox, "gate");
    write_waiting(&sandbox, "echo ready; cat gate");
    let mut running = start(&sandbox);
    cancel(&sandbox, &["--rollback", "--now"]).exits(0);
    // Whether the shell step took effect cannot be known, and it cannot be taken back.
    assert!(running.wait_for_line(|line| line.contains("rolling back")));
    running.finish().exits(23);
}

#[test]
fn the_first_cancel_after_a_resume_lets_what_is_in_flight_end() {
    let sandbox = Sandbox::new();
    let step = |id: &str| {
        format!("\n[[steps]]\nid = \"{id}\"\nuses = \"shell\"\nwith = {{ idempotent = true, script = \"echo ready; cat gate\" }}\n")
    };
    pipe(&sandbox, "gate");
    write_formula(&sandbox, "three", &["one", "two", "three"].map(step).concat());
    for (number, (command, id)) in [(&["run", "three"] as &[&str], "one"), (&["resume"], "two")].into_iter().enumerate() {
        let mut running = formula(&sandbox).args(command.iter().copied()).args(["-v"]).start();
        assert!(running.wait_for_line(|line| line.ends_with(&format!("{id} | ready"))), "{:?}", running.finish());
        formula(&sandbox).args(["cancel"]).run().exits(0);
        assert!(running.wait_for_line(|line| line.contains(&format!("stopping by {}", crate::support::me()))), "drive {number}");
        // Whoever was told to stop at once reads no more, and this would wait for ever.
        let begun = Instant::now();
        while let Err(error) = fs::OpenOptions::new().write(true).custom_flags(NONBLOCK).open(sandbox.work().join("gate")) {
            assert!(begun.elapsed() < SOON, "nobody reads: {error}");
            std::thread::yield_now();
        }
        running.finish().exits(21).stderr_has(&format!("✓ {id}"));
    }
}

#[test]
fn the_time_between_ctrl_z_and_fg_counts_for_no_limit() {
    const LIMIT: Duration = Duration::from_secs(5);
    let sandbox = Sandbox::new();
    pipe(&sandbox, "pipe");
    let body = "\n[[steps]]\nid = \"waits\"\nuses = \"shell\"\ntimeout = \"5s\"\nwith = { idempotent = true, script = \"exec 3<>pipe; echo ready; read line <&3\" }\n";
    write_formula(&sandbox, "paused", body);
    let mut running = run(&sandbox, "paused").args(["--timeout", "5s", "-v"]).start();
    assert!(running.wait_for_line(|line| line.ends_with("waits | ready")), "{:?}", running.finish());
    running.signal(Signal::TSTP);
    let begun = Instant::now();
    while !is_stopped(running.pid()) {
        assert!(begun.elapsed() < SOON);
        std::thread::yield_now();
    }
    // That this time passes is what is tried.
    std::thread::sleep(LIMIT + Duration::from_secs(1));
    running.signal(Signal::CONT);
    // Two looks of the driver at its limits: only then is the step let go on.
    let awake = Instant::now();
    while awake.elapsed() < Duration::from_millis(600) {
        assert!(sandbox.survivors().len() > 1, "the step is still there");
        std::thread::yield_now();
    }
    fs::write(sandbox.work().join("pipe"), "go\n").expect("the step reads it");
    let ran = running.finish();
    ran.exits(0);
    assert!(!ran.stderr.contains("timeout"), "{}", ran.stderr);
}

#[test]
fn what_moved_to_a_session_of_its_own_is_named_at_the_end() {
    let sandbox = Sandbox::new();
    pipe(&sandbox, "up");
    pipe(&sandbox, "hold");
    let script = "setsid sh -c 'echo up >up; read line <hold' >/dev/null 2>&1 &\nread line <up";
    let body = format!("\n[[steps]]\nid = \"leaves\"\nuses = \"shell\"\nwith = {{ idempotent = true, script = '''{script}''' }}\n");
    write_formula(&sandbox, "leaves", &body);
    let ran = run(&sandbox, "leaves").run();
    let left = sandbox.survivors();
    let [pid] = left[..] else { panic!("one is left: {left:?}\n{}", ran.stderr) };
    ran.exits(0).stderr_has(&format!("warning: a process outlived its step: pid {pid}, `sh -c echo up >up; read line <hold`"));
    ran.stderr_has(&format!("end it with `kill {pid}`"));
    fs::write(sandbox.work().join("hold"), "go\n").expect("it reads");
}

#[test]
fn a_run_that_waits_for_a_lock_can_be_stopped() {
    let sandbox = Sandbox::new();
    pipe(&sandbox, "gate");
    write_waiting(&sandbox, "echo ready; cat gate");
    let first = start(&sandbox);
    let second = run(&sandbox, "hello").args(["--wait-lock", "2m"]).start();
    // Before it listens the signal would just kill it.
    let listens = || {
        let status = fs::read_to_string(format!("/proc/{}/status", second.pid())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim().to_owned();
        u64::from_str_radix(&caught, 16).is_ok_and(|caught| caught & 2 != 0)
    };
    let begun = Instant::now();
    while !listens() {
        assert!(begun.elapsed() < SOON);
        std::thread::yield_now();
    }
    second.signal(Signal::INT);
    second.finish().exits(130).stderr_has("stopped by SIGINT while waiting for the lock `workdir`");
    fs::write(sandbox.work().join("gate"), "").expect("somebody reads it");
    first.finish().exits(0);
}

#[test]
fn a_state_directory_that_others_may_write_to_is_refused_whatever_is_in_it() {
    let sandbox = Sandbox::new();
    run(&sandbox, "hello").run().exits(0);
    let state = sandbox.work().join(".formula");
    for mode in [0o770, 0o702] {
        fs::set_permissions(&state, fs::Permissions::from_mode(mode)).expect("it is ours");
        for command in [&["run", "hello"] as &[&str], &["show"], &["resume"]] {
            let refused = formula(&sandbox).args(command.iter().copied()).run();
            refused.exits(74).stderr_has("others may write to it; `chmod 700` it");
        }
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).expect("it is ours");
    formula(&sandbox).args(["show"]).run().exits(0);
}

#[test]
fn a_run_has_a_limit_of_its_own() {
    let sandbox = Sandbox::new();
    write_waiting(&sandbox, "echo ready; sleep 600");
    let ran = run(&sandbox, "waiting").args(["--timeout", "1s", "--json"]).run();
    ran.exits(21);
    assert_eq!((&ran.verdict()["outcome"], &ran.events("cancel_requested")[0]["by"]), (&json!("stopped"), &json!("timeout")));
    assert_eq!(sandbox.survivors(), [0; 0]);
    formula(&sandbox).args(["resume"]).run().exits(0);
}
