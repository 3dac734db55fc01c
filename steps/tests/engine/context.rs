//! What reaches an engine as a build context, held against what the docker program sends.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use formula_steps::world::real::{DockerSettings, RealDocker};
use formula_steps::world::{Docker as _, OutputBuffer, PortErrorKind};

use crate::support::{Context, Ending, FakeEngine, Folder, program_answers};

fn ours(engine: &FakeEngine) -> RealDocker {
    RealDocker::new(DockerSettings { host: Some(engine.host()), ..DockerSettings::default() })
}

/// Has the docker program send the folder to the engine.
fn send_with_the_program(engine: &FakeEngine, folder: &Folder) -> bool {
    let config = folder.path().with_extension("config");
    let mut command = Command::new("docker");
    command.args(["build", "--quiet", "--file"]).arg(folder.path().join("Dockerfile")).arg(folder.path());
    command.env("DOCKER_HOST", engine.host()).env("DOCKER_BUILDKIT", "0").env("DOCKER_CONFIG", config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("`docker` starts").success()
}

#[tokio::test]
async fn all_sorts_of_files_arrive_as_the_docker_program_sends_them() {
    if !program_answers("all_sorts_of_files_arrive_as_the_docker_program_sends_them", "docker", &["--version"]) {
        return;
    }
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
    let folder = Folder::with(&[
        ("Dockerfile", "FROM scratch\n"),
        ("ünïcode/日本語 ✓.txt", "text"),
        ("empty", ""),
        (&long, "long"),
        ("a/b/c/d", "deep"),
    ]);
    let at = |name: &str| folder.path().join(name);
    std::fs::set_permissions(at("empty"), std::fs::Permissions::from_mode(0o751)).expect("our file");
    std::fs::create_dir(at("folder without files")).expect("a folder");
    symlink("a/b", at("link")).expect("a link");
    symlink("/nowhere/".to_owned() + &"x".repeat(150), at("broken link")).expect("a link");
    symlink(".", at("loop")).expect("a link");
    folder.write("exact", &[7; 512]);
    folder.write("more", &vec![9; 700_001]);
    let _socket = UnixListener::bind(at("socket")).expect("a socket");
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0)
        .expect("a FIFO");
    std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"not \xff utf-8")), "raw").expect("a file");

    let engine = FakeEngine::start();
    assert!(send_with_the_program(&engine, &folder));
    let theirs = engine.context().expect("a whole context");
    ours(&engine).build(&folder.build(&[]), &OutputBuffer::new()).await.expect("the context is sent");
    let sent = engine.context().expect("a whole context");
    assert_eq!(sent, theirs);
    assert!(!sent.contains_key("socket") && sent.contains_key("fifo") && sent.contains_key(&long), "{:?}", sent.keys());
}

/// Small and repeatable: the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }
}

fn random_patterns(dice: &mut Dice) -> String {
    const PARTS: [&str; 16] = [
        "a",
        "b",
        "lib",
        "x.log",
        "*",
        "**",
        "*.log",
        "?",
        "l*b",
        "[ab]",
        "[^a]",
        "a*",
        "**b",
        "Dockerfile",
        ".dockerignore",
        r"\a".split_at(1).1,
    ];
    let mut text = String::new();
    for _ in 0..=dice.roll(4) {
        text.push_str(dice.pick(&["", "", "", "!", "!", "/", "! "]));
        for part in 0..=dice.roll(3) {
            if part > 0 {
                text.push('/');
            }
            text.push_str(dice.pick(&PARTS));
        }
        text.push_str(dice.pick(&["\n", "\n", "/\n", "\r\n", "  \n", "\n\n# a\n"]));
    }
    text
}

#[tokio::test]
async fn dockerignore_leaves_in_what_the_docker_program_leaves_in() {
    if !program_answers("dockerignore_leaves_in_what_the_docker_program_leaves_in", "docker", &["--version"]) {
        return;
    }
    let mut dice = Dice(0x5eed_2026);
    let engine = FakeEngine::start();
    for case in 0..200 {
        let folder = Folder::with(&[("Dockerfile", "FROM scratch\n")]);
        let patterns = random_patterns(&mut dice);
        folder.write(".dockerignore", patterns.as_bytes());
        for folder_name in ["", "a/", "b/", "lib/", "a/b/", "a/lib/", "b/lib/a/"] {
            for name in ["x.log", "c", "ab"] {
                folder.write(&format!("{folder_name}{name}"), name.as_bytes());
            }
        }
        let accepted = send_with_the_program(&engine, &folder);
        let theirs = if accepted { names(engine.context()) } else { Vec::new() };
        let sent = ours(&engine).build(&folder.build(&[]), &OutputBuffer::new()).await;
        assert_eq!(sent.is_ok(), accepted, "case {case}: {patterns:?}: {sent:?}");
        if accepted {
            assert_eq!(names(engine.context()), theirs, "case {case}: {patterns:?}");
        }
    }
}

fn names(context: Option<Context>) -> Vec<String> {
    context.expect("a whole context").into_keys().collect()
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_breaks_the_build_and_never_the_content() {
    const SIZE: u64 = 64 << 20;
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\n")]);
    let path = folder.path().join("data");
    let file = File::create(&path).expect("a file");
    file.set_len(SIZE).expect("a sparse file");
    let cut = AtomicBool::new(false);
    // Far more than what fits into the buffers between us and the engine is still unread then.
    let engine = FakeEngine::watching(move |bytes| {
        if bytes > 1 << 20 && !cut.swap(true, Ordering::SeqCst) {
            file.set_len(0).expect("our file");
        }
    });
    let error = ours(&engine).build(&folder.build(&[]), &OutputBuffer::new()).await.expect_err("the file is gone");
    assert_eq!(error.kind, PortErrorKind::Transient);
    assert!(error.message.contains("data` changed while"), "{}", error.message);
    assert!(engine.context().is_none());
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_sent_is_sent_as_it_was() {
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\n")]);
    let path = folder.write("log", &vec![b'x'; 32 << 20]);
    let grow = std::fs::OpenOptions::new().append(true).open(&path).expect("our file");
    let engine = FakeEngine::watching(move |_| std::io::Write::write_all(&mut &grow, b"more").expect("our file"));
    ours(&engine).build(&folder.build(&[]), &OutputBuffer::new()).await.expect("the context is sent");
    let sent = engine.context().expect("a whole context");
    assert!(sent.contains_key("log"));
    assert!(std::fs::metadata(&path).expect("our file").len() > 32 << 20, "it did grow");
}

#[tokio::test]
async fn memory_stays_flat_whatever_the_size() {
    const SIZE: u64 = 256 << 20;
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\n")]);
    File::create(folder.path().join("data")).and_then(|file| file.set_len(SIZE)).expect("a sparse file");
    let engine = FakeEngine::start();
    let before = resident();
    ours(&engine).build(&folder.build(&[]), &OutputBuffer::new()).await.expect("the context is sent");
    assert!(engine.context().expect("a whole context").contains_key("data"));
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more than before, for {} KiB", SIZE >> 10);
}

/// Peak memory of this process, KiB. Other tests run beside, so a limit on it must leave room for them.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
}

#[tokio::test]
async fn what_cannot_be_built_is_said_before_an_engine_is_asked() {
    let nobody = RealDocker::new(DockerSettings { host: Some("unix:///nonexistent".into()), ..DockerSettings::default() });
    let empty = Folder::with(&[]);
    let output = OutputBuffer::new();
    let error = nobody.build(&empty.build(&[]), &output).await.expect_err("no Dockerfile");
    assert_eq!(error.kind, PortErrorKind::NotFound);
    assert!(error.message.contains("Dockerfile"), "{}", error.message);

    let mut build = empty.build(&[]);
    build.dockerfile = "../Dockerfile".into();
    assert_eq!(nobody.build(&build, &output).await.expect_err("outside").kind, PortErrorKind::Invalid);
    build.context = empty.path().join("missing");
    build.dockerfile = "Dockerfile".into();
    assert_eq!(nobody.build(&build, &output).await.expect_err("no context").kind, PortErrorKind::NotFound);

    let broken = Folder::with(&[("Dockerfile", "FROM scratch\n"), (".dockerignore", "ok\n[\n")]);
    let error = nobody.build(&broken.build(&[]), &output).await.expect_err("a broken pattern");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.message.contains("line 2"), "{}", error.message);
}

#[tokio::test]
async fn the_digest_follows_content_and_nothing_else() {
    let docker = RealDocker::new(DockerSettings::default());
    let files =
        [("Dockerfile", "FROM scratch\n"), (".dockerignore", "ignored\n.dockerignore\n"), ("a", "1"), ("sub/b", "2"), ("ignored", "x")];
    let folder = Folder::with(&files);
    let digest = docker.build_digest(&folder.build(&[])).await.expect("a digest");
    assert!(digest.starts_with("blake3:") && digest.len() == 71, "{digest}");

    // The same elsewhere, at another time, with other names and other ignored content.
    let twin = Folder::with(&files);
    twin.write("ignored", b"something else");
    twin.write(".dockerignore", b"# a comment\nignored\n.dockerignore\n");
    let old = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    File::open(twin.path().join("a")).and_then(|file| file.set_times(old)).expect("our file");
    let mut build = twin.build(&[]);
    build.no_cache = true;
    assert_eq!(docker.build_digest(&build).await.as_ref(), Ok(&digest));

    // Every change that matters gives another one.
    let mut seen = vec![digest];
    let changes: [&dyn Fn(&Folder); 6] = [
        &|folder| drop(folder.write("a", b"2")),
        &|folder| std::fs::rename(folder.path().join("a"), folder.path().join("z")).expect("our file"),
        &|folder| std::fs::set_permissions(folder.path().join("a"), std::fs::Permissions::from_mode(0o755)).expect("our file"),
        &|folder| drop(folder.write("Dockerfile", b"FROM scratch\nLABEL a=b\n")),
        &|folder| symlink("a", folder.path().join("link")).expect("a link"),
        &|folder| std::fs::create_dir(folder.path().join("empty")).expect("a folder"),
    ];
    for change in changes {
        let folder = Folder::with(&files);
        change(&folder);
        seen.push(docker.build_digest(&folder.build(&[])).await.expect("a digest"));
    }
    let mut build = folder.build(&[]);
    build.args.insert("A".into(), "1".into());
    seen.push(docker.build_digest(&build).await.expect("a digest"));
    build.target = Some("stage".into());
    seen.push(docker.build_digest(&build).await.expect("a digest"));
    build.platforms = vec!["linux/arm64".into()];
    seen.push(docker.build_digest(&build).await.expect("a digest"));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

const STEP: &str = "{\"stream\":\"Step 1/2 : FROM scratch\\n\"}\r\n";

#[tokio::test]
async fn an_answer_that_ends_early_is_never_a_success() {
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\n")]);
    let killed = "{\"stream\":\"last words\\n\"}\r\n{\"error\":\"The command 'x' returned a non-zero code: 137\",\
                  \"errorDetail\":{\"code\":137,\"message\":\"The command 'x' returned a non-zero code: 137\"}}\r\n";
    for (ending, kind, words) in [
        (Ending::Closed(STEP), PortErrorKind::Transient, "without an image"),
        (Ending::Cut(STEP), PortErrorKind::Transient, "connection to the engine broke"),
        (Ending::Silent(STEP), PortErrorKind::Timeout, "said nothing for"),
        (Ending::Closed(killed), PortErrorKind::Failed, "last words"),
    ] {
        let engine = FakeEngine::answering(ending);
        let output = OutputBuffer::new();
        let patient = ours(&engine).with_patience(Duration::from_millis(400));
        let error = patient.build(&folder.build(&[]), &output).await.expect_err(words);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(engine.context().is_some());
    }
}
