//! The compose program, v2: the reference implementation does the work.
//!
//! Knows how to call it and to read its JSON, never its YAML. Every call names project folder, file and env file itself, so that
//! nothing depends on where it runs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::world::{
    Cancel, Command, Compose, ComposeFile, ComposeService, Exit, Output, PortError, PortErrorKind, PortResult, Process, Up,
};

mod find;
mod seen;

use find::Program;
use seen::Seen;

/// The compose program that is found first: the plugin of the docker program, or `docker-compose` on PATH.
#[derive(Clone)]
pub struct RealCompose {
    process: Arc<dyn Process>,
    env: BTreeMap<String, String>,
    program: Arc<OnceCell<Program>>,
    seen: Arc<Seen>,
}

/// What a short call said.
struct Said {
    ok: bool,
    stdout: String,
    stderr: String,
}

impl RealCompose {
    /// Runs children through `process`. `env` is added to their environment, for an engine or a
    /// configuration other than the one that our own environment names: see `DockerSettings::environment`.
    pub fn new(process: Arc<dyn Process>, env: BTreeMap<String, String>) -> Self {
        Self { process, env, program: Arc::default(), seen: Arc::default() }
    }

    async fn program(&self) -> PortResult<&Program> {
        self.program.get_or_try_init(|| find::find(self)).await
    }

    /// Runs a short call to its end, its two outputs apart.
    async fn ask(&self, argv: &[String], args: &[OsString], dir: Option<&Path>, env: &BTreeMap<String, String>) -> PortResult<Said> {
        let mut command = tokio::process::Command::new(&argv[0]);
        command.args(&argv[1..]).args(args).envs(&self.env).envs(env).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        let done = command.output().await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => PortError::new(PortErrorKind::NotFound, format!("`{}` is not on PATH", argv[0])),
            _ => PortError::failed(format!("cannot run `{}`: {error}", argv.join(" "))),
        })?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { ok: done.status.success(), stdout: text(done.stdout), stderr: text(done.stderr) })
    }

    async fn config_call(&self, file: &ComposeFile, args: &[&str]) -> PortResult<String> {
        let program = self.program().await?;
        let mut all = arguments(file)?;
        all.extend(args.iter().map(OsString::from));
        let said = self.ask(&program.argv, &all, Some(&file.dir), &file.env).await?;
        if said.ok { Ok(said.stdout) } else { Err(invalid(file, &said.stderr)) }
    }

    /// Runs a call that changes something: its output is shown as it comes, and it can be stopped.
    async fn act(&self, file: &ComposeFile, args: Vec<OsString>, output: &dyn Output, cancel: &Cancel) -> PortResult<()> {
        let program = self.program().await?;
        let mut argv = program.argv.clone();
        for part in arguments(file)?.into_iter().chain(args.iter().cloned()) {
            argv.push(
                part.into_string().map_err(|part| {
                    PortError::invalid(format!("`{}` is not text that can be handed to compose", part.to_string_lossy()))
                })?,
            );
        }
        let mut env = self.env.clone();
        env.extend(file.env.clone());
        let command = Command { argv, env, inherit_env: true, dir: file.dir.clone(), ..Command::default() };
        let last = LastLines::new(output);
        let exit = self.process.run(&command, &last, cancel).await?;
        let verb = args.first().map(|verb| verb.to_string_lossy().into_owned()).unwrap_or_default();
        match exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(code) => Err(failed(&verb, &format!("exit code {code}"), &last.text())),
            Exit::Signal(signal) => Err(failed(&verb, &format!("signal {signal}"), &last.text())),
        }
    }
}

#[async_trait]
impl Compose for RealCompose {
    async fn version(&self) -> PortResult<String> {
        Ok(self.program().await?.version.clone())
    }

    async fn config(&self, file: &ComposeFile) -> PortResult<(String, Vec<ComposeService>)> {
        let inputs = seen::inputs(file, &self.env).await;
        if let Some(known) = inputs.as_ref().and_then(|inputs| self.seen.get(inputs)) {
            return Ok(known);
        }
        let (resolved, hashes) =
            tokio::try_join!(self.config_call(file, &["config", "--format", "json"]), self.config_call(file, &["config", "--hash", "*"]))?;
        let resolved: Value = serde_json::from_str(&resolved)
            .map_err(|error| PortError::failed(format!("`{}`: compose printed no JSON: {error}", file.file.display())))?;
        let hashes: BTreeMap<&str, &str> = hashes.lines().filter_map(|line| line.trim().rsplit_once(' ')).collect();
        let name = resolved.get("name").and_then(Value::as_str).or(file.project.as_deref()).unwrap_or_default().to_owned();
        let empty = serde_json::Map::new();
        let services = resolved.get("services").and_then(Value::as_object).unwrap_or(&empty);
        let services: Vec<_> = services.iter().map(|(name, config)| service(name, config, &hashes, file)).collect::<PortResult<_>>()?;
        // What changed while compose read it may have been read either way.
        let unchanged = seen::inputs(file, &self.env).await;
        if let Some(inputs) = inputs.filter(|before| unchanged.as_ref() == Some(before)) {
            self.seen.put(inputs, &name, &services);
        }
        Ok((name, services))
    }

    async fn up(&self, file: &ComposeFile, up: &Up, output: &dyn Output, cancel: &Cancel) -> PortResult<()> {
        let mut args: Vec<OsString> = ["up", "--detach", "--no-build", "--quiet-pull"].map(OsString::from).into();
        if up.no_pull {
            args.extend(["--pull".into(), "never".into()]);
        }
        if up.force_recreate {
            args.push("--force-recreate".into());
        }
        args.extend(services(&up.services)?);
        self.act(file, args, output, cancel).await
    }

    async fn recreates(&self, file: &ComposeFile, names: &[String]) -> PortResult<Vec<String>> {
        let program = self.program().await?;
        let mut args = arguments(file)?;
        args.extend(["up", "--detach", "--dry-run", "--no-build", "--pull", "never"].map(OsString::from));
        args.extend(services(names)?);
        let said = self.ask(&program.argv, &args, Some(&file.dir), &file.env).await?;
        if said.ok { Ok(recreated(&said.stderr)) } else { Err(failed("up --dry-run", "a failure", &said.stderr)) }
    }

    async fn stop(&self, file: &ComposeFile, names: &[String], output: &dyn Output, cancel: &Cancel) -> PortResult<()> {
        let mut args = vec![OsString::from("stop")];
        args.extend(services(names)?);
        self.act(file, args, output, cancel).await
    }
}

/// What every call begins with.
fn arguments(file: &ComposeFile) -> PortResult<Vec<OsString>> {
    let mut args: Vec<OsString> = ["--ansi", "never", "--project-directory"].map(OsString::from).into();
    let path = |path: &PathBuf| if path.is_absolute() { path.clone() } else { file.dir.join(path) };
    args.push(file.dir.clone().into());
    args.extend(["--file".into(), path(&file.file).into()]);
    if let Some(project) = &file.project {
        args.extend(["--project-name".into(), project_name(project)?.into()]);
    }
    if let Some(env_file) = &file.env_file {
        args.extend(["--env-file".into(), path(env_file).into()]);
    }
    for profile in &file.profiles {
        // `*` turns all of them on.
        args.extend(["--profile".into(), if profile == "*" { "*".into() } else { name(profile, "profile")?.into() }]);
    }
    Ok(args)
}

/// Compose folds what it does not like in a project's name, or refuses it late: better to say so at once.
fn project_name(text: &str) -> PortResult<&str> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if first && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')) {
        return Ok(text);
    }
    Err(PortError::invalid(format!("`{text}` is not the name of a compose project"))
        .hint("lower-case letters, digits, `_` and `-`, the first one a letter or digit"))
}

fn name<'a>(text: &'a str, what: &str) -> PortResult<&'a str> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')) {
        return Ok(text);
    }
    Err(PortError::invalid(format!("`{text}` is not the name of a {what}")))
}

/// Service names as arguments; none for all of them.
fn services(names: &[String]) -> PortResult<Vec<OsString>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names = names.iter().map(|text| name(text, "service").map(OsString::from));
    std::iter::once(Ok("--".into())).chain(names).collect()
}

fn service(name: &str, config: &Value, hashes: &BTreeMap<&str, &str>, file: &ComposeFile) -> PortResult<ComposeService> {
    let config_hash = hashes
        .get(name)
        .ok_or_else(|| PortError::failed(format!("`{}`: compose gives no hash for service `{name}`", file.file.display())))?;
    let depends_on = match config.get("depends_on") {
        Some(Value::Object(map)) => map.keys().cloned().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Ok(ComposeService {
        name: name.to_owned(),
        config_hash: (*config_hash).to_owned(),
        image: config.get("image").and_then(Value::as_str).map(str::to_owned),
        depends_on,
        config: config.clone(),
    })
}

/// The containers that a dry run says would be made anew: ` DRY-RUN MODE -  Container shop-web-1  Recreate`.
fn recreated(output: &str) -> Vec<String> {
    let words = output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let named = words.filter_map(|words| match words.as_slice() {
        [.., "Container", name, "Recreate"] => Some((*name).to_owned()),
        _ => None,
    });
    let mut found: Vec<String> = named.collect();
    found.sort();
    found.dedup();
    found
}

/// A file that compose does not accept.
fn invalid(file: &ComposeFile, stderr: &str) -> PortError {
    let said = words(stderr);
    if engine_is_away(&said) {
        return failed("config", "no engine", stderr);
    }
    let shown = file.file.display();
    PortError::invalid(format!("compose does not accept `{shown}`: {said}"))
        .hint(format!("`docker compose -f {shown} config` shows what it reads"))
}

fn failed(verb: &str, how: &str, output: &str) -> PortError {
    let said = words(output);
    let lower = said.to_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    let kind = if engine_is_away(&said) {
        PortErrorKind::Unreachable
    } else if any(&["permission denied while trying to connect", "unauthorized", "pull access denied", "no basic auth"]) {
        PortErrorKind::Denied
    } else if any(&["is already in use by container", "port is already allocated", "address already in use", "is ambiguous"]) {
        PortErrorKind::Conflict
    } else if any(&["i/o timeout", "connection reset", "tls handshake timeout", "toomanyrequests", "connection refused", "unexpected eof"])
    {
        PortErrorKind::Transient
    } else {
        PortErrorKind::Failed
    };
    let error = PortError::new(kind, format!("compose {verb} ended with {how}: {said}"));
    match kind {
        PortErrorKind::Unreachable => error.hint("is the engine running? `systemctl start docker`, or set DOCKER_HOST"),
        PortErrorKind::Conflict if lower.contains("container name") => {
            error.hint("an interrupted `up` leaves containers in state `created`: remove those of this project and try again")
        }
        _ => error,
    }
}

fn engine_is_away(said: &str) -> bool {
    let said = said.to_lowercase();
    said.contains("cannot connect to the docker daemon") || said.contains("error during connect")
}

/// The lines of compose that say something: its warnings only where there is nothing else.
fn words(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let warning = |line: &str| line.contains("level=warning") || line.starts_with("WARN");
    let mut telling: Vec<&str> = lines.iter().copied().filter(|line| !warning(line)).collect();
    if telling.is_empty() {
        telling = lines;
    }
    let from = telling.len().saturating_sub(4);
    let said = telling[from..].join("; ");
    if said.is_empty() { "no reason given".to_owned() } else { said.trim_end_matches('.').to_owned() }
}

/// Hands output on and keeps its end for the message of a failure.
struct LastLines<'a> {
    output: &'a dyn Output,
    kept: std::sync::Mutex<Vec<u8>>,
}

impl<'a> LastLines<'a> {
    const KEPT: usize = 4096;

    fn new(output: &'a dyn Output) -> Self {
        Self { output, kept: std::sync::Mutex::default() }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept.lock().expect("no writer panics")).into_owned()
    }
}

impl Output for LastLines<'_> {
    fn write(&self, bytes: &[u8]) {
        self.output.write(bytes);
        let mut kept = self.kept.lock().expect("no writer panics");
        kept.extend_from_slice(bytes);
        let over = kept.len().saturating_sub(Self::KEPT);
        kept.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ComposeFile {
        ComposeFile {
            dir: "/srv/app".into(),
            file: "/srv/app/compose.yml".into(),
            project: Some("app".into()),
            env_file: Some("/srv/app/.env".into()),
            profiles: vec!["debug".into()],
            env: BTreeMap::new(),
        }
    }

    #[test]
    fn every_call_names_what_it_is_about() {
        let args: Vec<String> = arguments(&file()).expect("valid").into_iter().map(|part| part.into_string().expect("text")).collect();
        let args = args.join(" ");
        for part in [
            "--project-directory /srv/app",
            "--file /srv/app/compose.yml",
            "--project-name app",
            "--env-file /srv/app/.env",
            "--profile debug",
        ] {
            assert!(args.contains(part), "{part} in {args}");
        }
    }

    #[test]
    fn names_that_are_options_are_refused() {
        assert!(services(&["--force".into()]).is_err());
        assert!(services(&["web".into()]).is_ok());
        for project in ["-p", "Upper", "a/b", ""] {
            assert!(arguments(&ComposeFile { project: Some(project.into()), ..file() }).is_err(), "{project:?}");
        }
        assert!(arguments(&ComposeFile { profiles: vec!["--x".into()], ..file() }).is_err());
    }

    #[test]
    fn failures_are_told_apart() {
        for (output, kind) in [
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                PortErrorKind::Unreachable,
            ),
            (
                "Error response from daemon: Conflict. The container name \"/x\" is already in use by container \"1\".",
                PortErrorKind::Conflict,
            ),
            ("Error response from daemon: pull access denied for x", PortErrorKind::Denied),
            ("Error response from daemon: something else", PortErrorKind::Failed),
        ] {
            assert_eq!(failed("up", "exit code 1", output).kind, kind, "{output}");
        }
        let dry = " DRY-RUN MODE -  Container x-1  Running \n DRY-RUN MODE -  Container y-1  Recreate \n DRY-RUN MODE -  Container y-1  Recreated \n";
        assert_eq!(recreated(dry), ["y-1"]);
        assert_eq!(words("time=\"x\" level=warning msg=\"old\"\nreal reason\n"), "real reason");
    }
}
