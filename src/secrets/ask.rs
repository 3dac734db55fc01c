//! Programs that print a secret.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::LONGEST;

/// The last part of what a program says about a failure.
const REASON: usize = 200;

/// Runs a program without input and without terminal, and gives what it printed.
pub(super) fn ask(argv: &[String], workdir: &Path, env: &BTreeMap<String, String>, patience: Duration) -> Result<String, String> {
    let Some((program, args)) = argv.split_first() else {
        return Err("names no program".to_owned());
    };
    let deadline = Instant::now() + patience;
    let mut command = Command::new(program);
    command.args(args).current_dir(workdir).env_clear().envs(env);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that whatever it starts ends with it.
    let mut child = command.process_group(0).spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("cannot be asked: there is no program `{program}`"),
        _ => format!("cannot be asked: {error}"),
    })?;
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    // The pipe closes when the program ends, unless it leaves somebody behind who holds it.
    let printed = output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    let status = printed.is_ok().then(|| wait(&mut child, deadline)).flatten();
    end(&mut child);
    let (Ok(printed), Some(status)) = (printed, status) else {
        return Err(format!("gave no answer within {} s", patience.as_secs_f32()));
    };
    if !status.success() {
        let said = errors.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        return Err(failure(status, &said));
    }
    if printed.len() > LONGEST {
        return Err(format!("printed more than {LONGEST} bytes"));
    }
    String::from_utf8(printed).map_err(|_| "printed something that is not UTF-8".to_owned())
}

/// Reads a pipe to its end on a thread of its own, keeping a little more than anybody may say.
fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut pipe) = pipe {
        thread::spawn(move || {
            let mut kept = Vec::new();
            let _ = pipe.by_ref().take(LONGEST as u64 + 1).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
            let _ = sender.send(kept);
        });
    }
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Ends whatever is left of the group, and reaps the child.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn failure(status: ExitStatus, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.trim().chars().filter(|letter| !letter.is_control()).take(REASON).collect();
    if line.is_empty() { format!("failed with {status}") } else { format!("failed with {status}: {line}") }
}
