//! A real image registry on a free port of the loopback.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Program, Sandbox};

const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json";

/// How a registry is set up.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// User and password that everything needs; none: open to all.
    pub login: Option<(String, String)>,
    /// Whether it refuses to delete manifests.
    pub keeps_all: bool,
}

/// A running registry with its data in the sandbox. Killed on drop.
pub struct RegistryServer {
    folder: PathBuf,
    options: RegistryOptions,
    port: u16,
    child: Option<Child>,
}

impl RegistryServer {
    /// Starts one that is open to all and lets manifests be deleted.
    pub fn start(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, RegistryOptions::default())
    }

    /// Starts one.
    pub fn with(sandbox: &Sandbox, options: RegistryOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("registry-").tempdir_in(sandbox.root()).expect("the sandbox is writable").keep();
        if let Some((user, password)) = &options.login {
            let ran = Program::new(sandbox, "htpasswd").args(["-Bbn", user, password]).run();
            ran.exits(0);
            fs::write(folder.join("htpasswd"), &ran.stdout).expect("the sandbox is writable");
        }
        let mut server = Self { folder, options, port: 0, child: None };
        server.restart();
        server
    }

    /// Host and port, as image names begin: `127.0.0.1:40123`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it: connections are refused from now on. Data stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it is our child");
        }
    }

    /// Starts it again after [`Self::stop`], on the same port, with the same data.
    pub fn restart(&mut self) {
        self.stop();
        let config = self.folder.join("config.yml");
        fs::write(&config, self.config()).expect("the sandbox is writable");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("`docker-registry` ({error}); `tests/provision.sh` installs it"));
        let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        self.child = Some(child);
        // It names its address once it listens. A port of 0 was a free one, picked by the kernel.
        let mut said = Vec::new();
        let address = log.by_ref().map_while(Result::ok).find_map(|line| {
            let address = line.split_once("listening on 127.0.0.1:").map(|(_, address)| address.to_owned());
            said.push(line);
            address?.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
        });
        self.port = address.unwrap_or_else(|| panic!("`docker-registry` does not start:\n{}", said.join("\n")));
        // Read on, or it would block on a full pipe.
        thread::spawn(move || log.for_each(drop));
    }

    /// The digest that a tag points to; none where there is no such tag.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let (status, headers, _) = self.request("HEAD", &format!("/v2/{repository}/manifests/{tag}"));
        let digest =
            headers.lines().find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("docker-content-digest")));
        digest.filter(|_| status == 200).map(|(_, digest)| digest.to_owned())
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let (_, _, body) = self.request("GET", &format!("/v2/{repository}/tags/list"));
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let mut tags: Vec<String> = serde_json::from_value(answer["tags"].clone()).unwrap_or_default();
        tags.sort();
        tags
    }

    /// One request with the right login: status, headers, body.
    pub fn request(&self, method: &str, path: &str) -> (u16, String, String) {
        let login = self.options.login.as_ref().map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
        let login = login.map(|login| format!("Authorization: Basic {login}\r\n")).unwrap_or_default();
        let request = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\nAccept: {ACCEPT}\r\n{login}\r\n", self.host());
        let mut answer = String::new();
        let exchange = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        exchange.unwrap_or_else(|error| panic!("{method} {path} at {}: {error}", self.host()));
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, headers.to_owned(), body.to_owned())
    }

    fn config(&self) -> String {
        let folder = self.folder.display();
        let auth = match self.options.login {
            Some(_) => format!("auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"),
            None => String::new(),
        };
        format!(
            "version: 0.1\nlog: {{level: info, formatter: text}}\nhttp: {{addr: '127.0.0.1:{}', secret: test}}\n\
             storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: {}}}}}\n{auth}",
            self.port, !self.options.keeps_all
        )
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
