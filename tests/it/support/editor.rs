//! An editor that talks to the language server as real ones do: framed JSON over the streams of a child.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::Sandbox;

/// The server, and what it has said that nobody asked for yet.
pub struct Editor {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    told: VecDeque<Value>,
    next: u64,
    folder: String,
}

impl Editor {
    /// Starts the server and shakes hands.
    pub fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command(env!("CARGO_BIN_EXE_formula"));
        let mut child = command.args(["lsp", "--stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("a pipe")));
        let folder = format!("file://{}", sandbox.work().display());
        let mut editor = Self { child, stdin, stdout, told: VecDeque::new(), next: 0, folder };
        let answer = editor.ask("initialize", json!({ "processId": std::process::id(), "rootUri": editor.folder, "capabilities": {} }));
        assert_eq!(answer["serverInfo"]["name"], "formula");
        editor.tell("initialized", json!({}));
        editor
    }

    /// The address of a file below the working directory.
    pub fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.folder)
    }

    /// A notification.
    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// A request; gives its result.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.read();
            if message["id"] == id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.told.push_back(message);
        }
    }

    /// A request about a place in a file.
    #[track_caller]
    pub fn ask_at(&mut self, method: &str, path: &str, line: usize, character: usize) -> Value {
        let params = json!({ "textDocument": { "uri": self.uri(path) }, "position": { "line": line, "character": character } });
        self.ask(method, params)
    }

    /// Opens a file with that text.
    pub fn open(&mut self, path: &str, text: &str) {
        let document = json!({ "uri": self.uri(path), "languageId": "toml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Changes a file.
    pub fn change(&mut self, path: &str, version: u32, changes: Value) {
        let document = json!({ "uri": self.uri(path), "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    /// Waits for the problems of a version of a file.
    #[track_caller]
    pub fn problems(&mut self, path: &str, version: u32) -> Vec<Value> {
        let uri = self.uri(path);
        loop {
            let mut message = match self.told.pop_front() {
                Some(message) => message,
                None => self.read(),
            };
            let params = &mut message["params"];
            if message_is(params, &uri, version) {
                return params["diagnostics"].as_array().expect("a list").clone();
            }
        }
    }

    /// Ends the server as the protocol says; gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.send(&json!({ "jsonrpc": "2.0", "method": "exit" }));
        // Real editors leave the pipe open until the server is gone.
        let code = self.child.wait().expect("it ends").code();
        drop(self.stdin.take());
        code
    }

    /// Closes the pipe without a word; gives the exit code.
    pub fn vanish(mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.child.wait().expect("it ends").code()
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        let stdin = self.stdin.as_mut().expect("not closed yet");
        write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).and_then(|()| stdin.flush()).expect("the server reads");
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).expect("the server writes"), 0, "the server is gone");
            match line.trim_end() {
                "" => break,
                header => {
                    if let Some(value) = header.strip_prefix("Content-Length: ") {
                        length = value.parse().expect("a number");
                    }
                }
            }
        }
        let mut body = vec![0; length];
        self.stdout.read_exact(&mut body).expect("as long as it said");
        serde_json::from_slice(&body).expect("JSON")
    }
}

fn message_is(params: &Value, uri: &str, version: u32) -> bool {
    params["uri"] == uri && params["version"] == version
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
