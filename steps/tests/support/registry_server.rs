//! A real image registry on a free port of the loopback.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use super::Folder;

/// A running registry. Killed with the value.
pub struct RegistryServer {
    folder: Folder,
    login: bool,
    deletes: bool,
    port: u16,
    child: Option<Child>,
}

impl RegistryServer {
    /// Open to all, and lets manifests be deleted.
    pub fn open() -> Self {
        Self::start(None, true)
    }

    /// Needs this user and password for everything.
    pub fn closed(user: &str, password: &str) -> Self {
        Self::start(Some((user, password)), true)
    }

    /// Open to all, but refuses to delete.
    pub fn keeping_all() -> Self {
        Self::start(None, false)
    }

    fn start(login: Option<(&str, &str)>, deletes: bool) -> Self {
        let folder = Folder::with(&[]);
        if let Some((user, password)) = login {
            let made = Command::new("htpasswd").args(["-Bbn", user, password]).output().expect("`htpasswd` is installed");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            folder.write("htpasswd", &made.stdout);
        }
        let mut server = Self { folder, login: login.is_some(), deletes, port: 0, child: None };
        server.restart();
        server
    }

    /// Host and port, as names of images begin.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on connections are refused.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it is our child");
        }
    }

    /// Starts it, again on the same port and with the same data.
    pub fn restart(&mut self) {
        self.stop();
        let config = self.folder.write("config.yml", self.config().as_bytes());
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("`docker-registry` is installed");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        self.child = Some(child);
        // It names its address once it listens; a port of 0 was one that the kernel picked.
        let mut line = String::new();
        self.port = loop {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("text"), 0, "the registry ended before it listened");
            if let Some((_, address)) = line.split_once("listening on 127.0.0.1:") {
                let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
                break digits.parse().expect("a port");
            }
        };
        // A full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut log.by_ref(), &mut std::io::sink()));
    }

    fn config(&self) -> String {
        let folder = self.folder.path().display();
        let auth = if self.login { format!("auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n") } else { String::new() };
        format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {folder}/data}}\n  delete: {{enabled: {}}}\n\
             http: {{addr: \"127.0.0.1:{}\", secret: test}}\n{auth}",
            self.deletes, self.port
        )
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        self.stop();
    }
}
