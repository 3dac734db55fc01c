//! What `strace -f -y -xx` wrote, as system calls in the order of their ends.
//!
//! Where two threads are in the kernel at once, `strace` tells when each went in and came out; nothing is known of the order in between, so both
//! moments are kept.

use std::collections::HashMap;

/// Calls that the replayer understands, or must at least see.
pub const CALLS: &str = "trace=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,\
    sync_file_range,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,dup,dup2,dup3,close,lseek,\
    clone,clone3,fork,vfork,copy_file_range,sendfile,splice";

/// One system call that succeeded.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments as `strace` spells them.
    pub args: Vec<String>,
    /// What it gave back.
    pub result: i64,
    /// The thread.
    pub thread: u32,
    /// Line at which it went in; twice the number, so that there is room between two lines.
    pub begin: usize,
    /// Line at which it came out.
    pub end: usize,
}

impl Call {
    /// The number before the `<…>` of a descriptor.
    pub fn fd(&self, argument: usize) -> Option<i32> {
        self.args.get(argument)?.split('<').next()?.parse().ok()
    }

    /// The path that `-y` says a descriptor stands for.
    pub fn fd_path(&self, argument: usize) -> Option<String> {
        let (_, rest) = self.args.get(argument)?.split_once('<')?;
        Some(String::from_utf8_lossy(&unhex(rest.split('>').next()?)).into_owned())
    }

    /// The bytes of a string argument.
    pub fn bytes(&self, argument: usize) -> Vec<u8> {
        let text = &self.args[argument];
        assert!(text.starts_with('"') && text.ends_with('"'), "a whole string: {text}");
        unhex(&text[1..text.len() - 1])
    }

    /// A string argument as a text.
    pub fn text(&self, argument: usize) -> String {
        String::from_utf8_lossy(&self.bytes(argument)).into_owned()
    }

    /// A number.
    pub fn number(&self, argument: usize) -> u64 {
        self.args[argument].parse().unwrap_or_else(|error| panic!("{}: {error}", self.args[argument]))
    }

    /// Whether an argument of flags has this one.
    pub fn has(&self, argument: usize, flag: &str) -> bool {
        self.args.get(argument).is_some_and(|flags| flags.split('|').any(|one| one == flag))
    }
}

/// All calls that succeeded, by their ends; `close` by its beginning, since the number may be given away before it is told of.
pub fn calls(text: &str) -> Vec<Call> {
    let mut open: HashMap<u32, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line_at = number * 2;
        let (thread, rest) = line.split_once(' ').unwrap_or_else(|| panic!("line {number}: {line}"));
        let thread: u32 = thread.parse().unwrap_or_else(|error| panic!("line {number}: {error}: {line}"));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(head) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread, (line_at, head.trim_end().to_owned()));
            continue;
        }
        let (begin, whole) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let Some((begin, head)) = open.remove(&thread) else { continue };
                let (_, tail) = resumed.split_once(" resumed>").unwrap_or_else(|| panic!("line {number}: {line}"));
                (begin, head + tail)
            }
            None => (line_at, rest.to_owned()),
        };
        calls.extend(call(&whole, thread, begin, line_at));
    }
    calls.sort_by_key(|call| if call.name == "close" { call.begin } else { call.end });
    calls
}

fn call(whole: &str, thread: u32, begin: usize, end: usize) -> Option<Call> {
    let (name, rest) = whole.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let result: String = result.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let result: i64 = result.parse().ok()?;
    // The first ")" from the right that is no part of "(deleted)".
    let args = args.trim_end();
    let args = args.strip_suffix(')').or_else(|| args.rsplit_once(") => ").map(|(args, _)| args)).unwrap_or(args);
    (result >= 0).then(|| Call { name: name.to_owned(), args: split(args), result, thread, begin, end })
}

/// Arguments at their commas, but for those in brackets.
fn split(args: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for character in args.chars() {
        match character {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            ' ' if depth == 0 && parts.last().is_some_and(String::is_empty) => continue,
            _ => {}
        }
        parts.last_mut().expect("never empty").push(character);
    }
    parts
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("`-xx` writes every byte in hexadecimal") as u8;
    text.chunks_exact(4).map(|four| digit(four[2]) << 4 | digit(four[3])).collect()
}
