//! Why a program could not be started, for the person who asked for it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::world::{Command, PortError, PortErrorKind};

/// No program of that name.
pub(super) fn no_program(name: &str, path: Option<&str>) -> PortError {
    let place = path.map_or_else(|| "on PATH".to_owned(), |path| format!("in PATH `{path}`"));
    PortError::new(PortErrorKind::NotFound, format!("there is no program `{name}` {place}"))
        .hint(format!("install `{name}`, or name it by its full path"))
}

/// Says why `program`, which `command` names, did not start.
pub(super) fn explain(command: &Command, program: &Path, error: &io::Error) -> PortError {
    let shown = program.display();
    let dir = command.dir.display();
    let folder = (!command.dir.as_os_str().is_empty()).then(|| std::fs::metadata(&command.dir));
    match folder {
        Some(Err(why)) if why.kind() == io::ErrorKind::NotFound => {
            return PortError::new(PortErrorKind::NotFound, format!("cannot start `{}`: there is no folder `{dir}`", command.argv[0]))
                .hint(format!("mkdir -p {dir}, or name another `dir`"));
        }
        Some(Ok(folder)) if !folder.is_dir() => {
            return PortError::failed(format!("cannot start `{}` in `{dir}`: that is no folder", command.argv[0]));
        }
        _ => {}
    }
    let cannot = format!("cannot start `{}` in `{dir}`", command.argv[0]);
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::NOENT) if !command.argv[0].contains('/') && !program.is_absolute() => {
            no_program(&command.argv[0], None).context(cannot)
        }
        Some(Errno::NOENT) => missing_file(program).context(cannot),
        Some(Errno::NOTDIR) => {
            PortError::new(PortErrorKind::NotFound, format!("{cannot}: a part of `{shown}` is a file where a folder is needed"))
        }
        Some(Errno::ACCESS) => forbidden(program).context(cannot),
        Some(Errno::NOEXEC) => {
            PortError::failed(format!("{cannot}: `{shown}` is neither a program for this machine nor a script with a `#!` line"))
                .hint(format!("begin it with `#!/bin/sh`, or run it as `sh {shown}`"))
        }
        Some(Errno::TOOBIG) => too_big(command).context(cannot),
        Some(Errno::TXTBSY) => PortError::new(PortErrorKind::Transient, format!("{cannot}: `{shown}` is still open for writing"))
            .hint("let the program that writes it finish first"),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
            PortError::new(PortErrorKind::Transient, format!("{cannot}: {}", words(error)))
                .hint("the machine is short of processes, memory or open files: see `ulimit -a`")
        }
        _ => PortError::failed(format!("{cannot}: {}", words(error))),
    }
}

/// The system's words without the number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The file is missing, or what its first line names is.
fn missing_file(program: &Path) -> PortError {
    let shown = program.display();
    if !program.exists() {
        return PortError::new(PortErrorKind::NotFound, format!("there is no file `{shown}`"));
    }
    match interpreter(program) {
        Some(name) if name.ends_with('\r') => PortError::failed(format!(
            "the first line of `{shown}` ends in a carriage return, which counts as part of the interpreter's name"
        ))
        .hint(format!("sed -i 's/\\r$//' {shown}")),
        Some(name) => PortError::new(PortErrorKind::NotFound, format!("`{shown}` names the interpreter `{name}`, which is not there"))
            .hint(format!("install `{name}`, or change the first line of `{shown}`")),
        None => PortError::new(PortErrorKind::NotFound, format!("`{shown}` needs a loader or library that is not there"))
            .hint(format!("`file {shown}` tells which machine it was built for")),
    }
}

/// What the `#!` line names.
fn interpreter(program: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(program).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.trim_start_matches([' ', '\t']).split([' ', '\t']).next().map(str::to_owned)
}

/// The system says that the file may not be executed.
fn forbidden(program: &Path) -> PortError {
    let shown = program.display();
    match std::fs::metadata(program) {
        Ok(found) if found.is_dir() => PortError::failed(format!("`{shown}` is a folder")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            PortError::failed(format!("`{shown}` is not executable")).hint(format!("chmod +x {shown}"))
        }
        Ok(_) => PortError::failed(format!("we may not execute `{shown}`"))
            .hint("its permissions leave us out, or its file system is mounted noexec"),
        Err(_) => PortError::failed(format!("we may not look into the folder of `{shown}`, or into the one it should run in")),
    }
}

/// More arguments and environment than the kernel takes.
fn too_big(command: &Command) -> PortError {
    let argv = command.argv.iter().map(String::len);
    let env = command.env.iter().map(|(name, value)| name.len() + value.len() + 1);
    let secret = command.secret_env.iter().map(|(name, value)| name.len() + value.expose().len() + 1);
    let sizes: Vec<usize> = argv.chain(env).chain(secret).collect();
    let (longest, all) = (sizes.iter().max().copied().unwrap_or_default(), sizes.iter().sum::<usize>());
    PortError::failed(format!(
        "arguments and environment are too long ({all} bytes, the longest {longest}; Linux takes 128 KiB for one and about 2 MiB for all)"
    ))
    .hint("hand long values over on standard input or in a file")
}
