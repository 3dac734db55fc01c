//! Building with BuildKit, through the buildx plugin of the docker program: it alone keeps up with what engines speak.

use std::collections::HashMap;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::text::Tail;
use super::{DockerSettings, blocking, names};
use crate::world::real::build_context::BuildContext;
use crate::world::{Build, Built, Output, PortError, PortErrorKind, PortResult};

const GET_BUILDX: &str = "install the plugin (package `docker-buildx` or `docker-buildx-plugin`), or set `builder = \"classic\"`";

pub(super) async fn build(settings: &DockerSettings, build: &Build, output: &dyn Output) -> PortResult<Built> {
    let given = build.clone();
    let dockerfile = blocking(move || BuildContext::open(&given).map(|context| context.dockerfile().to_owned())).await?;
    let folder = tempfile::tempdir().map_err(|error| PortError::failed(format!("cannot make a temporary folder: {error}")))?;
    let id_file = folder.path().join("image-id");
    let mut command = command(settings, build, &dockerfile)?;
    command.arg("--iidfile").arg(&id_file).arg("--").arg(&build.context);
    let mut group = Group::start(command)?;
    let tail = Tail::new(output);
    let stderr = group.child.stderr.take().expect("was piped");
    let stdout = group.child.stdout.take().expect("was piped");
    let mut screen = Screen { tail: &tail, names: HashMap::new(), failure: None };
    let (told, ()) = tokio::join!(screen.read(stderr), drain(stdout, &tail));
    let waited = |error: std::io::Error| PortError::failed(format!("docker buildx: {error}"));
    told.map_err(waited)?;
    let status = group.wait().await.map_err(waited)?;
    if !status.success() {
        return Err(failure(screen.failure, &tail));
    }
    let image_id = tokio::fs::read_to_string(&id_file).await.unwrap_or_default().trim().to_owned();
    if image_id.is_empty() {
        return Err(PortError::failed("docker buildx ended without naming an image"));
    }
    Ok(Built { image_id })
}

fn command(settings: &DockerSettings, build: &Build, dockerfile: &str) -> PortResult<Command> {
    let mut command = Command::new("docker");
    command.args(["buildx", "build", "--progress", "rawjson", "--load", "--file"]).arg(build.context.join(dockerfile));
    for tag in &build.tags {
        let (repository, tag) = names::parts(tag)?;
        command.arg("--tag").arg(format!("{repository}:{tag}"));
    }
    for (name, value) in &build.args {
        if own(name) {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        } else {
            // Through the environment: a command line can be read by everybody.
            command.arg("--build-arg").arg(name).env(name, value);
        }
    }
    for (name, value) in &build.labels {
        command.arg("--label").arg(format!("{name}={value}"));
    }
    if let Some(target) = &build.target {
        command.arg("--target").arg(target);
    }
    if build.no_cache {
        command.arg("--no-cache");
    }
    if !build.platforms.is_empty() {
        command.arg("--platform").arg(build.platforms.join(","));
    }
    command.envs(settings.environment()).env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
    command.current_dir(&build.context).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Whether a variable of that name would mean something to the program itself.
fn own(name: &str) -> bool {
    let prefixes = ["DOCKER_", "BUILDX_", "BUILDKIT_", "LD_", "GO", "SSL_", "XDG_", "OTEL_"];
    ["PATH", "HOME", "TMPDIR", "USER"].contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The program and its plugin; killed together if nobody waits for them any more.
struct Group {
    child: Child,
    id: Option<rustix::process::Pid>,
}

impl Group {
    fn start(mut command: Command) -> PortResult<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                PortError::new(PortErrorKind::NotFound, "BuildKit needs the `docker` program, which is not on PATH").hint(GET_BUILDX)
            }
            _ => PortError::failed(format!("cannot start `docker buildx`: {error}")),
        })?;
        let id = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        Ok(Self { child, id })
    }

    async fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        let status = self.child.wait().await?;
        self.id = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // It may have ended by itself just now.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

async fn drain(mut stdout: impl AsyncRead + Unpin, tail: &Tail<'_>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
        tail.write(&buffer[..count]);
    }
}

fn failure(failure: Option<String>, tail: &Tail<'_>) -> PortError {
    let last = tail.last();
    let missing = |line: &String| line.contains("unknown command: docker buildx") || line.contains("'buildx' is not a docker command");
    if last.iter().any(missing) {
        return PortError::new(PortErrorKind::NotFound, "BuildKit needs the buildx plugin of the docker program, which is not installed")
            .hint(GET_BUILDX);
    }
    let ours = |line: &&String| line.starts_with("ERROR: ");
    let said = last.iter().rev().find(ours).map(|line| line.trim_start_matches("ERROR: ").to_owned());
    let said = said.or(failure).or_else(|| last.last().cloned()).unwrap_or_else(|| "no reason given".to_owned());
    let kind = match super::error::of_words(&said) {
        kind @ (PortErrorKind::Denied | PortErrorKind::Unreachable | PortErrorKind::Transient)
            if !said.contains("did not complete successfully") =>
        {
            kind
        }
        _ => PortErrorKind::Failed,
    };
    let mut message = format!("building: {said}");
    for line in last.iter().filter(|line| !line.contains(&said)) {
        message.push_str("\n  ");
        message.push_str(line);
    }
    let mut error = PortError::new(kind, message);
    error.hint = super::error::hint(kind, &said).map(str::to_owned);
    error
}

/// One message of `--progress rawjson`.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    vertexes: Vec<Vertex>,
    #[serde(default)]
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Vertex {
    digest: String,
    #[serde(default)]
    name: String,
    started: Option<String>,
    completed: Option<String>,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    data: String,
}

/// Turns the messages into lines.
struct Screen<'a> {
    tail: &'a Tail<'a>,
    /// Number and last announced state of each vertex.
    names: HashMap<String, (usize, u8)>,
    failure: Option<String>,
}

impl Screen<'_> {
    async fn read(&mut self, mut stream: impl AsyncRead + Unpin) -> std::io::Result<()> {
        let mut pending = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = stream.read(&mut buffer).await?;
            pending.extend_from_slice(&buffer[..count]);
            let taken = self.take(&pending, count == 0);
            pending.drain(..taken);
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Shows all that is complete; the number of bytes that are done with. JSON messages and plain lines may follow each other.
    fn take(&mut self, bytes: &[u8], end: bool) -> usize {
        let mut done = 0;
        loop {
            done += bytes[done..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let rest = &bytes[done..];
            if rest.is_empty() {
                return done;
            }
            if rest[0] == b'{' {
                let mut messages = serde_json::Deserializer::from_slice(rest).into_iter::<Message>();
                match messages.next() {
                    Some(Ok(message)) => {
                        done += messages.byte_offset();
                        self.show(message);
                        continue;
                    }
                    Some(Err(error)) if error.is_eof() && !end => return done,
                    _ => {}
                }
            }
            let line = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let Some(length) = line.or(end.then_some(rest.len())) else { return done };
            self.tail.line(&String::from_utf8_lossy(&rest[..length]));
            done += length;
        }
    }

    fn show(&mut self, message: Message) {
        for vertex in message.vertexes {
            let next = self.names.len() + 1;
            let (number, shown) = self.names.entry(vertex.digest).or_insert((next, 0));
            let number = *number;
            let state = match (vertex.started.is_some(), vertex.completed.is_some()) {
                (_, true) => 2,
                (true, false) => 1,
                (false, false) => 0,
            };
            if state > *shown {
                if *shown == 0 {
                    self.tail.line(&format!("#{number} {}", vertex.name));
                }
                *shown = state;
                match () {
                    () if !vertex.error.is_empty() => self.tail.line(&format!("#{number} ERROR {}", vertex.error)),
                    () if vertex.cached => self.tail.line(&format!("#{number} CACHED")),
                    () => {}
                }
            }
            if !vertex.error.is_empty() {
                self.failure = Some(vertex.error);
            }
        }
        for log in message.logs {
            self.tail.write(&STANDARD.decode(log.data).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::OutputBuffer;

    #[test]
    fn messages_become_lines_wherever_they_are_cut() {
        let log = STANDARD.encode("compiling\n");
        let text = format!(
            "{{\n \"vertexes\": [{{\"digest\":\"a\",\"name\":\"[1/2] FROM scratch\",\"started\":\"t\"}}]\n}}\n\
             {{\"vertexes\":[{{\"digest\":\"a\",\"name\":\"[1/2] FROM scratch\",\"started\":\"t\",\"completed\":\"t\",\"cached\":true}}],\
             \"logs\":[{{\"vertex\":\"a\",\"stream\":1,\"data\":\"{log}\"}}]}}\nERROR: it broke\n"
        );
        for cut in 0..text.len() {
            let buffer = OutputBuffer::new();
            let tail = Tail::new(&buffer);
            let mut screen = Screen { tail: &tail, names: HashMap::new(), failure: None };
            let taken = screen.take(&text.as_bytes()[..cut], false);
            screen.take(&text.as_bytes()[taken..], true);
            assert_eq!(buffer.text(), "#1 [1/2] FROM scratch\n#1 CACHED\ncompiling\nERROR: it broke\n", "cut at {cut}");
        }
    }

    #[test]
    fn a_missing_plugin_is_said_with_what_to_install() {
        let buffer = OutputBuffer::new();
        let tail = Tail::new(&buffer);
        tail.line("docker: unknown command: docker buildx");
        tail.line("Run 'docker --help' for more information");
        let error = failure(None, &tail);
        assert_eq!(error.kind, PortErrorKind::NotFound);
        assert!(error.hint.expect("a hint").contains("docker-buildx"));
    }
}
