//! Starting a child: finding its program, its three streams, and words for what goes wrong.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, MemfdFlags, OFlags, accessat, fcntl_getfl, fcntl_setfl, memfd_create};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;

use super::Group;
use super::explain::explain;
use crate::world::{Command, PortError, PortResult, Secret};

/// A child that runs.
pub(super) struct Launched {
    /// To wait for the leader.
    pub child: Child,
    /// Its group.
    pub group: Group,
    /// Our end of its output.
    pub pipe: Receiver,
}

/// Where programs are looked for when the child's environment names no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Pauses between attempts to start a file that somebody still holds open for writing: another child of ours may have
/// been forked while we wrote it, and has it until its own exec.
const BUSY: [Duration; 5] =
    [Duration::from_millis(1), Duration::from_millis(4), Duration::from_millis(15), Duration::from_millis(50), Duration::from_millis(100)];

/// Starts a command.
pub(super) async fn launch(command: &Command) -> PortResult<Launched> {
    check(command)?;
    let program = program_of(command)?;
    let mut pauses = BUSY.iter();
    loop {
        match start(command, &program) {
            Ok(launched) => return Ok(launched),
            Err(error) => match pauses.next() {
                Some(pause) if error.raw_os_error() == Some(Errno::TXTBSY.raw_os_error()) => tokio::time::sleep(*pause).await,
                _ => return Err(explain(command, &program, &error)),
            },
        }
    }
}

/// Refuses what no system call could carry.
fn check(command: &Command) -> PortResult<()> {
    if command.argv.first().is_none_or(String::is_empty) {
        return Err(PortError::invalid("there is no program to start: the command is empty"));
    }
    if let Some(at) = command.argv.iter().position(|part| part.contains('\0')) {
        return Err(PortError::invalid(format!("part {at} of the command `{}` contains a NUL byte", command.argv[0].replace('\0', "\\0"))));
    }
    let values = command.env.iter().map(|(name, value)| (name, value.as_str()));
    let secrets = command.secret_env.iter().map(|(name, value)| (name, value.expose()));
    for (name, value) in values.chain(secrets) {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(PortError::invalid(format!("`{}` cannot be the name of an environment variable", name.escape_debug())));
        }
        if value.contains('\0') {
            return Err(PortError::invalid(format!("the value of the environment variable `{name}` contains a NUL byte")));
        }
    }
    Ok(())
}

/// The program as the system call gets it. A bare name is looked up here where the child's `PATH` is not ours: the
/// standard library would fork instead of spawning for that, which costs several times as much.
fn program_of(command: &Command) -> PortResult<PathBuf> {
    let name = &command.argv[0];
    if name.contains('/') {
        return Ok(command.dir.join(name));
    }
    let path = command.secret_env.get("PATH").map(Secret::expose);
    match path.or(command.env.get("PATH").map(String::as_str)) {
        Some(path) => find_program(name, path, &command.dir),
        None if command.inherit_env => Ok(PathBuf::from(name)),
        None => find_program(name, DEFAULT_PATH, &command.dir),
    }
}

/// Looks a bare name up in a `PATH`; relative folders in it count from `dir`.
pub(super) fn find_program(name: &str, path: &str, dir: &Path) -> PortResult<PathBuf> {
    let mut forbidden = None;
    for folder in path.split(':') {
        let candidate = dir.join(folder).join(name);
        if !candidate.is_file() {
            continue;
        }
        if accessat(CWD, &candidate, Access::EXEC_OK, AtFlags::EACCESS).is_ok() {
            return Ok(candidate);
        }
        forbidden.get_or_insert(candidate);
    }
    Err(match forbidden {
        Some(file) => PortError::failed(format!("`{}` may not be executed", file.display())).hint(format!("chmod +x {}", file.display())),
        None => super::explain::no_program(name, Some(path)),
    })
}

fn start(command: &Command, program: &Path) -> io::Result<Launched> {
    let (reader, writer) = io::pipe()?;
    let mut builder = std::process::Command::new(program);
    {
        use std::os::unix::process::CommandExt as _;
        builder.arg0(&command.argv[0]).args(&command.argv[1..]).process_group(0);
    }
    if !command.inherit_env {
        builder.env_clear();
    }
    builder.envs(&command.env).envs(command.secret_env.iter().map(|(name, value)| (name, value.expose())));
    if !command.dir.as_os_str().is_empty() {
        builder.current_dir(&command.dir);
    }
    builder.stdin(match &command.stdin {
        None => Stdio::null(),
        Some(bytes) => stdin_file(bytes)?.into(),
    });
    builder.stdout(writer.try_clone()?).stderr(writer);
    let mut builder = tokio::process::Command::from(builder);
    let child = builder.kill_on_drop(true).spawn()?;
    // Holds our copies of the child's ends: with them open the pipe would never end.
    drop(builder);
    let group = child.id().and_then(Group::led_by).ok_or_else(|| io::Error::other("the child has no process id"))?;
    // Only our end: the flag belongs to the open file, and each end of a pipe is one of its own.
    let reader = OwnedFd::from(reader);
    fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
    Ok(Launched { child, group, pipe: Receiver::from_owned_fd_unchecked(reader)? })
}

/// A file in memory to be a child's standard input: there is nobody to feed and nothing to break.
pub(in crate::world::real) fn stdin_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
