//! Real children. Nothing here waits for a time to pass in order to be right; times that are asserted are the promises themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::RealProcess;
use crate::world::{Cancel, CancelLevel, Command, Exit, Output, OutputBuffer, PortErrorKind, PortResult, Process as _, Secret};

fn command(argv: &[&str]) -> Command {
    let argv = argv.iter().map(|part| (*part).to_owned()).collect();
    Command { argv, inherit_env: true, dir: PathBuf::from("/"), ..Command::default() }
}

fn sh(script: &str) -> Command {
    command(&["sh", "-c", script])
}

async fn run(command: &Command) -> (PortResult<Exit>, String) {
    let output = OutputBuffer::new();
    let exit = RealProcess::new().run(command, &output, &Cancel::new()).await;
    (exit, output.text())
}

/// Raises a cancel as soon as the child has written a line, and keeps what it wrote.
struct RaiseOnLine<'a> {
    cancel: &'a Cancel,
    level: CancelLevel,
    text: Mutex<String>,
}

impl<'a> RaiseOnLine<'a> {
    fn new(cancel: &'a Cancel, level: CancelLevel) -> Self {
        Self { cancel, level, text: Mutex::default() }
    }
    fn numbers(&self) -> Vec<i32> {
        self.text.lock().unwrap().split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }
}

impl Output for RaiseOnLine<'_> {
    fn write(&self, bytes: &[u8]) {
        let mut text = self.text.lock().unwrap();
        text.push_str(&String::from_utf8_lossy(bytes));
        if text.contains('\n') {
            self.cancel.raise(self.level);
        }
    }
}

/// Whether a process still runs; one that is a zombie does not.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok() && !stat.contains(") Z ")
}

#[tokio::test]
async fn the_exit_code_and_both_streams_come_back_in_order() {
    let began = Instant::now();
    let (exit, text) = run(&sh("echo one; echo two >&2; echo three; exit 7")).await;
    assert_eq!((exit, text.as_str()), (Ok(Exit::Code(7)), "one\ntwo\nthree\n"));
    assert!(began.elapsed() < super::LEFTOVERS, "nobody but the child holds its end of the pipe");
}

#[tokio::test]
async fn a_signal_that_ends_the_child_is_told_apart_from_a_code() {
    assert_eq!(run(&sh("kill -USR1 $$")).await.0, Ok(Exit::Signal(10)));
}

#[tokio::test]
async fn no_shell_stands_between() {
    let words = ["$HOME", "`id`", "a b", ";", "*", "--", "\"", "'", "ä\n"];
    let (_, text) = run(&command(&[&["printf", "<%s>"], &words[..]].concat())).await;
    assert_eq!(text, words.map(|word| format!("<{word}>")).concat());
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for() {
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("ONE".to_owned(), "a b".to_owned())]);
    let secret_env = BTreeMap::from([("TWO".to_owned(), Secret::new("hidden-2"))]);
    let alone = Command { env: env.clone(), secret_env: secret_env.clone(), inherit_env: false, ..command(&["env"]) };
    assert_eq!(run(&alone).await.1.lines().collect::<Vec<_>>(), ["ONE=a b", "PATH=/usr/bin:/bin", "TWO=hidden-2"]);
    let added = Command { inherit_env: true, ..alone };
    let (_, text) = run(&added).await;
    assert!(text.lines().any(|line| line == "ONE=a b") && text.lines().count() > 3, "{text}");
    assert!(!format!("{added:?}").contains("hidden"), "a secret is never shown");
}

#[tokio::test]
async fn a_bare_name_is_looked_up_in_the_path_of_the_child() {
    let here = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", here.path().join("greet")).unwrap();
    let env = BTreeMap::from([("PATH".to_owned(), format!("/nowhere:{}", here.path().display()))]);
    for inherit_env in [true, false] {
        let greet = Command { env: env.clone(), inherit_env, ..command(&["greet", "hello"]) };
        assert_eq!(run(&greet).await, (Ok(Exit::Code(0)), "hello\n".to_owned()));
    }
    let relative = Command { dir: here.path().to_owned(), ..command(&["./greet", "you"]) };
    assert_eq!(run(&relative).await.1, "you\n");
}

#[tokio::test]
async fn standard_input_is_what_was_given_or_empty() {
    assert_eq!(run(&command(&["cat"])).await, (Ok(Exit::Code(0)), String::new()));
    let big = vec![b'x'; 3_000_000];
    let given = Command { stdin: Some(big), ..command(&["wc", "-c"]) };
    assert_eq!(run(&given).await.1.trim(), "3000000");
}

#[tokio::test]
async fn the_child_gets_no_file_of_ours_and_leads_its_group() {
    let held = tempfile::tempfile().unwrap();
    let mut standard = std::process::Command::new("sh");
    let before = standard.args(["-c", "ls /proc/self/fd"]).output().unwrap().stdout;
    let (_, text) = run(&sh("ls /proc/self/fd")).await;
    assert_eq!(text, String::from_utf8(before).unwrap(), "what a plain child sees");
    drop(held);
    let (_, text) = run(&sh("cat /proc/$$/stat")).await;
    let fields: Vec<&str> = text.split(' ').collect();
    assert_eq!(fields[0], fields[4], "process and group: {text}");
}

#[tokio::test]
async fn what_does_not_start_is_explained() {
    let here = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = here.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let long = "x".repeat(200_000);
    let cases = [
        (vec!["no-such-program-here".to_owned()], PortErrorKind::NotFound, "there is no program `no-such-program-here`"),
        (vec!["./missing".to_owned()], PortErrorKind::NotFound, "there is no file"),
        (vec![file("plain", "echo hello\n", 0o755)], PortErrorKind::Failed, "nor a script with a `#!` line"),
        (vec![file("shut", "#!/bin/sh\n", 0o644)], PortErrorKind::Failed, "is not executable"),
        (vec![file("odd", "#!/no/interpreter -x\n", 0o755)], PortErrorKind::NotFound, "interpreter `/no/interpreter`"),
        (vec![file("dos", "#!/bin/sh\r\n", 0o755)], PortErrorKind::Failed, "carriage return"),
        (vec![here.path().display().to_string()], PortErrorKind::Failed, "is a folder"),
        (vec!["true".to_owned(), long], PortErrorKind::Failed, "the longest 200000"),
        (vec!["true".to_owned(), "a\0b".to_owned()], PortErrorKind::Invalid, "NUL byte"),
        (vec![], PortErrorKind::Invalid, "the command is empty"),
    ];
    for (argv, kind, words) in cases {
        let wanted = Command { argv, inherit_env: true, dir: here.path().to_owned(), ..Command::default() };
        let error = run(&wanted).await.0.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    let nowhere = Command { dir: here.path().join("gone"), ..command(&["true"]) };
    let error = run(&nowhere).await.0.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound);
    assert!(error.message.contains("there is no folder") && error.message.contains("`true`"), "{error}");
}

#[tokio::test]
async fn a_cancelled_group_gets_the_signal_at_once_with_its_grandchildren() {
    let cancel = Cancel::new();
    let output = RaiseOnLine::new(&cancel, CancelLevel::Graceful(15));
    let began = Instant::now();
    let script = "sleep 300 & sh -c 'trap \"echo told; exit 0\" TERM; echo $$; while :; do sleep 0.05; done' & one=$!; wait $one";
    let error = RealProcess::new().run(&sh(script), &output, &cancel).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(3), "nobody ignored the signal, so nobody waits for the grace");
    assert!(output.text.lock().unwrap().contains("told"), "the grandchild was told, not killed");
    assert!(output.numbers().into_iter().all(|pid| !runs(pid)));
}

/// Raises a first level on the first line and a second one on the next: a child that writes again when it gets the signal
/// has seen it before the second word comes.
struct Twice<'a> {
    cancel: &'a Cancel,
    second: CancelLevel,
    text: Mutex<String>,
}

impl Output for Twice<'_> {
    fn write(&self, bytes: &[u8]) {
        let mut text = self.text.lock().unwrap();
        text.push_str(&String::from_utf8_lossy(bytes));
        match text.lines().count() {
            0 => {}
            1 => self.cancel.raise(CancelLevel::Graceful(2)),
            _ => self.cancel.raise(self.second),
        }
    }
}

#[tokio::test]
async fn the_grace_is_over_on_the_second_word() {
    for second in [CancelLevel::Graceful(15), CancelLevel::Now] {
        let cancel = Cancel::new();
        let output = Twice { cancel: &cancel, second, text: Mutex::default() };
        let began = Instant::now();
        let script = "trap 'echo no' INT; trap '' TERM; echo $$; while :; do sleep 300 & wait; done";
        let error = RealProcess::new().run(&sh(script), &output, &cancel).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Cancelled);
        assert!(began.elapsed() < Duration::from_secs(5));
        let text = output.text.lock().unwrap().clone();
        assert!(text.contains("no"), "{text}");
        assert!(!runs(text.lines().next().unwrap().parse().unwrap()));
    }
}

#[tokio::test]
async fn now_kills_at_once_and_a_raised_cancel_starts_nothing() {
    let cancel = Cancel::new();
    let output = RaiseOnLine::new(&cancel, CancelLevel::Now);
    let began = Instant::now();
    let error = RealProcess::new().run(&sh("trap '' TERM; echo $$; sleep 300"), &output, &cancel).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(3));
    let mark = tempfile::tempdir().unwrap();
    let touch = command(&["touch", mark.path().join("ran").to_str().unwrap()]);
    assert!(RealProcess::new().run(&touch, &OutputBuffer::new(), &cancel).await.is_err());
    assert!(!mark.path().join("ran").exists());
}

#[tokio::test]
async fn who_ignores_the_signal_is_killed_after_the_grace() {
    let cancel = Cancel::new();
    let output = RaiseOnLine::new(&cancel, CancelLevel::Graceful(15));
    let began = Instant::now();
    let error = RealProcess::new().run(&sh("trap '' TERM; echo $$; sleep 300"), &output, &cancel).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Cancelled);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(12), "{took:?}");
    assert!(output.numbers().into_iter().all(|pid| !runs(pid)));
}

#[tokio::test]
async fn a_leaked_pipe_holder_delays_the_answer_by_a_second_at_most() {
    let here = tempfile::tempdir().unwrap();
    let escape = "mkfifo gone; setsid sh -c 'echo $$; echo > gone; exec sleep 300' & read line < gone; exit 3";
    for (script, inside) in [("sleep 300 & echo $!; exit 3", true), (escape, false)] {
        let output = OutputBuffer::new();
        let began = Instant::now();
        let command = Command { dir: here.path().to_owned(), ..sh(script) };
        let exit = RealProcess::new().run(&command, &output, &Cancel::new()).await;
        assert_eq!(exit, Ok(Exit::Code(3)));
        // A second by the promise; the rest is for a machine with much else to do.
        assert!(began.elapsed() < Duration::from_millis(2500), "{script}: {:?}", began.elapsed());
        let holder = output.text().trim().parse().unwrap();
        if inside {
            assert!(!runs(holder), "members of the group do not outlive their leader");
        } else {
            assert!(runs(holder), "a session of its own is not our group");
            rustix::process::kill_process(Pid::from_raw(holder).unwrap(), rustix::process::Signal::KILL).unwrap();
        }
    }
}

#[tokio::test]
async fn a_background_process_without_the_pipe_is_asked_to_end_with_its_leader() {
    let here = tempfile::tempdir().unwrap();
    let script = "mkfifo up; sh -c 'trap \"echo asked > told; exit\" TERM; echo > up; while :; do sleep 300 & wait; done' >/dev/null 2>&1 & \
                  echo $!; read line < up";
    let (exit, text) = run(&Command { dir: here.path().to_owned(), ..sh(script) }).await;
    assert_eq!(exit, Ok(Exit::Code(0)));
    assert!(!runs(text.trim().parse().unwrap()));
    assert_eq!(std::fs::read_to_string(here.path().join("told")).unwrap(), "asked\n", "before it was killed");
}

#[tokio::test]
async fn the_rest_of_the_output_comes_though_the_leader_is_gone() {
    let (exit, text) = run(&sh("(sleep 0.2; echo late) & echo early")).await;
    assert_eq!((exit, text.as_str()), (Ok(Exit::Code(0)), "early\nlate\n"));
}

#[tokio::test]
async fn a_dropped_run_kills_the_group() {
    let cancel = Cancel::new();
    let output = RaiseOnLine::new(&cancel, CancelLevel::Now);
    {
        // Its own cancel is another one: only the drop can end it.
        let command = sh("sleep 300 & echo $$ $!; wait");
        let deaf = Cancel::new();
        let process = RealProcess::new();
        let running = process.run(&command, &output, &deaf);
        tokio::select! {
            _ = running => panic!("nothing ends it"),
            _ = cancel.raised() => {}
        }
    }
    let pids = output.numbers();
    assert_eq!(pids.len(), 2);
    let dead_by = Instant::now() + Duration::from_secs(5);
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(Instant::now() < dead_by, "{pids:?} live on");
        tokio::task::yield_now().await;
    }
}

struct Count(Mutex<(u64, usize)>);

impl Output for Count {
    fn write(&self, bytes: &[u8]) {
        let mut seen = self.0.lock().unwrap();
        seen.0 += bytes.len() as u64;
        seen.1 = seen.1.max(bytes.len());
    }
}

#[tokio::test]
async fn a_flood_is_drained_in_bounded_pieces() {
    let output = Count(Mutex::default());
    let exit = RealProcess::new().run(&sh("head -c 200000000 /dev/zero"), &output, &Cancel::new()).await;
    assert_eq!(exit, Ok(Exit::Code(0)));
    let (bytes, longest) = *output.0.lock().unwrap();
    assert_eq!(bytes, 200_000_000);
    assert!(longest <= 64 * 1024, "{longest}");
}

#[tokio::test]
async fn a_flood_does_not_keep_the_cancel_waiting() {
    let cancel = Cancel::new();
    let output = RaiseOnLine::new(&cancel, CancelLevel::Graceful(15));
    let began = Instant::now();
    let error = RealProcess::new().run(&command(&["yes"]), &NoOutput(&output), &cancel).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(2));
}

/// Keeps the first write only.
struct NoOutput<'a>(&'a RaiseOnLine<'a>);

impl Output for NoOutput<'_> {
    fn write(&self, bytes: &[u8]) {
        if self.0.text.lock().unwrap().is_empty() {
            self.0.write(bytes);
        }
    }
}

#[tokio::test]
async fn many_children_at_once_are_kept_apart() {
    let runs = (0..64).map(|number| async move { run(&sh(&format!("echo {number}; exit {number}"))).await });
    for (number, (exit, text)) in futures_util::future::join_all(runs).await.into_iter().enumerate() {
        assert_eq!(exit, Ok(Exit::Code(i32::try_from(number).unwrap())));
        assert_eq!(text, format!("{number}\n"));
    }
}
