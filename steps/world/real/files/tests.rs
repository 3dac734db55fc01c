//! Real files in temporary folders.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;

use super::RealFiles;
use crate::world::{Entry, Files as _, PortErrorKind};

struct Place {
    folder: TempDir,
    root: PathBuf,
    files: RealFiles,
}

/// A root called `root` with a neighbour `secret` outside of it.
fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(folder.path().join("secret"), "outside").unwrap();
    Place { folder, root, files: RealFiles::new() }
}

impl Place {
    async fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.read(&self.root, Path::new(path)).await.unwrap().map(|file| file.bytes)
    }
    async fn write(&self, path: &str, text: &str) {
        self.files.write(&self.root, Path::new(path), text.as_bytes(), 0o644, false).await.unwrap();
    }
    async fn refused(&self, path: &str) -> String {
        let path = Path::new(path);
        let read = self.files.read(&self.root, path).await.unwrap_err();
        let written = self.files.write(&self.root, path, b"x", 0o644, false).await.unwrap_err();
        let removed = self.files.remove(&self.root, path).await.unwrap_err();
        assert_eq!([read.kind, written.kind, removed.kind], [PortErrorKind::Invalid; 3], "{read}");
        assert_eq!(fs::read_to_string(self.folder.path().join("secret")).unwrap(), "outside");
        written.message
    }
    fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.root.join(path)).unwrap().mode() & 0o7777
    }
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
    async fn glob(&self, pattern: &str) -> Vec<String> {
        let found = self.files.glob(&self.root, pattern).await.unwrap();
        found.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn what_is_written_is_read_back_and_goes_again() {
    let at = place();
    assert_eq!(at.read("new").await, None);
    at.write("new", "one\n").await;
    assert_eq!(at.read("new").await.as_deref(), Some(&b"one\n"[..]));
    at.write("deep/down/file", "two").await;
    assert_eq!(at.read("deep/../deep/down/./file").await.as_deref(), Some(&b"two"[..]));
    let absolute = at.root.join("deep/down/file");
    assert_eq!(at.read(absolute.to_str().unwrap()).await.as_deref(), Some(&b"two"[..]));
    for path in ["new", "new", "deep/down/file", "nowhere/at/all"] {
        at.files.remove(&at.root, Path::new(path)).await.unwrap();
    }
    assert_eq!(at.read("new").await, None);
    assert_eq!(at.names(), ["deep"], "no temporary file is left, made folders stay");
}

#[tokio::test]
async fn a_write_makes_a_root_that_is_missing_and_no_folder_above_it() {
    let Place { folder, root, files } = place();
    let (new, path) = (root.join("new"), Path::new("file"));
    assert!(files.read(&new, path).await.unwrap().is_none() && !new.exists());
    files.write(&new, path, b"x", 0o600, true).await.unwrap();
    assert_eq!((fs::metadata(&new).unwrap().mode() & 0o777, fs::read(new.join(path)).unwrap()), (0o700, b"x".to_vec()));
    let error = files.write(&root.join("a/b"), path, b"x", 0o600, true).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    drop(folder);
}

#[tokio::test]
async fn modes_are_exact_for_new_files_and_kept_for_old_ones() {
    let at = place();
    at.files.write(&at.root, Path::new("private"), b"x", 0o600, false).await.unwrap();
    at.files.write(&at.root, Path::new("open"), b"x", 0o666, false).await.unwrap();
    assert_eq!((at.mode("private"), at.mode("open")), (0o600, 0o666), "whatever the umask");
    fs::set_permissions(at.root.join("private"), fs::Permissions::from_mode(0o640)).unwrap();
    at.files.write(&at.root, Path::new("private"), b"y", 0o600, false).await.unwrap();
    assert_eq!(at.mode("private"), 0o640);
    at.files.write(&at.root, Path::new("private"), b"z", 0o755, true).await.unwrap();
    assert_eq!(at.mode("private"), 0o755);
    let found = at.files.read(&at.root, Path::new("private")).await.unwrap().unwrap();
    assert_eq!((found.mode, found.bytes), (0o755, b"z".to_vec()));
}

#[tokio::test]
async fn the_owner_is_kept() {
    let at = place();
    at.write("file", "old").await;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::os::unix::fs::chown(at.root.join("file"), Some(1234), Some(2345)).unwrap();
    at.write("file", "new").await;
    let found = at.files.read(&at.root, Path::new("file")).await.unwrap().unwrap();
    assert_eq!((found.bytes, found.uid, found.gid), (b"new".to_vec(), 1234, 2345));
}

#[tokio::test]
async fn a_write_replaces_the_file_and_does_not_touch_the_old_one() {
    let at = place();
    at.write("file", "old").await;
    fs::hard_link(at.root.join("file"), at.root.join("witness")).unwrap();
    at.write("file", "new and longer").await;
    assert_eq!(fs::read_to_string(at.root.join("witness")).unwrap(), "old", "written in place, a reader would meet a mixture");
    assert_eq!(fs::read_to_string(at.root.join("file")).unwrap(), "new and longer");
}

#[tokio::test]
async fn a_reader_never_meets_a_mixture_or_a_gap() {
    let at = place();
    let texts = ["a".repeat(300_000), "b".repeat(200_000)];
    at.write("file", &texts[0]).await;
    let path = at.root.join("file");
    let seen = std::thread::spawn({
        let texts = texts.clone();
        move || (0..400).all(|_| fs::read_to_string(&path).is_ok_and(|text| texts.contains(&text)))
    });
    for round in 0..60 {
        at.write("file", &texts[round % 2]).await;
    }
    assert!(seen.join().unwrap());
}

#[tokio::test]
async fn nothing_leads_outside() {
    let at = place();
    let outside = at.folder.path().join("secret");
    symlink(&outside, at.root.join("absolute")).unwrap();
    symlink("../secret", at.root.join("relative")).unwrap();
    symlink("..", at.root.join("up")).unwrap();
    symlink("../not-there", at.root.join("dangling")).unwrap();
    symlink("relative", at.root.join("chain")).unwrap();
    symlink("/proc/self/fd/0", at.root.join("magic")).unwrap();
    fs::create_dir(at.root.join("sub")).unwrap();
    for path in ["absolute", "relative", "up/secret", "dangling", "chain", "magic", "../secret", "sub/../../secret", "/etc/passwd"] {
        let message = at.refused(path).await;
        assert!(message.contains("outside"), "{path}: {message}");
    }
    assert!(!at.folder.path().join("not-there").exists());
    assert_eq!(at.names(), ["absolute", "chain", "dangling", "magic", "relative", "sub", "up"]);
}

#[tokio::test]
async fn links_that_stay_inside_are_followed_and_stay() {
    let at = place();
    at.write("real/file", "old").await;
    symlink("real/file", at.root.join("link")).unwrap();
    symlink(at.root.join("real"), at.root.join("folder")).unwrap();
    symlink("made/later", at.root.join("dangling")).unwrap();
    fs::create_dir(at.root.join("sub")).unwrap();
    symlink(at.root.join("real"), at.root.join("sub/absolute")).unwrap();
    at.write("link", "new").await;
    assert_eq!(at.read("sub/absolute/file").await.as_deref(), Some(&b"new"[..]));
    assert_eq!(fs::read_to_string(at.root.join("real/file")).unwrap(), "new");
    assert_eq!(at.read("folder/file").await.as_deref(), Some(&b"new"[..]), "an absolute target inside");
    assert_eq!(at.read("folder/../link").await.as_deref(), Some(&b"new"[..]));
    assert_eq!(at.read("dangling").await, None);
    at.write("dangling", "there").await;
    assert_eq!(fs::read_to_string(at.root.join("made/later")).unwrap(), "there");
    at.files.remove(&at.root, Path::new("dangling")).await.unwrap();
    assert!(!at.root.join("made/later").exists());
    assert!(at.root.join("dangling").is_symlink() && at.root.join("link").is_symlink());
    symlink("round", at.root.join("round")).unwrap();
    assert!(at.refused("round").await.contains("in circles"));
}

#[tokio::test]
async fn the_root_may_be_reached_through_a_link() {
    let at = place();
    at.write("real", "text").await;
    symlink(at.root.join("real"), at.root.join("link")).unwrap();
    let alias = at.folder.path().join("alias");
    symlink(&at.root, &alias).unwrap();
    let found = at.files.read(&alias, Path::new("link")).await.unwrap().unwrap();
    assert_eq!(found.bytes, b"text");
}

#[tokio::test]
async fn what_is_no_file_is_refused_and_not_waited_for() {
    let at = place();
    fs::create_dir(at.root.join("folder")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at.root.join("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at.root.join("socket")).unwrap();
    for (path, word) in [("folder", "a folder"), (".", "a folder"), ("folder/..", "a folder"), ("fifo", "a FIFO"), ("socket", "a socket")] {
        let message = at.refused(path).await;
        assert!(message.contains(word), "{message}");
    }
    at.write("file", "x").await;
    for path in ["file/below", "file/.", "file/"] {
        assert!(at.refused(path).await.contains("is a file and no folder"), "{path}");
    }
}

#[tokio::test]
async fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let at = place();
    at.write("file", "old").await;
    let name = "n".repeat(300);
    let error = at.files.write(&at.root, Path::new(&name), b"x", 0o644, false).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    let long = "l".repeat(250);
    at.write(&long, "fits").await;
    assert_eq!(at.names(), ["file", &long]);
}

#[tokio::test]
async fn globs_find_files_in_name_order() {
    let at = place();
    for path in ["b.toml", "a.toml", "a.txt", ".hidden.toml", "sub/c.toml", "sub/deep/d.toml", ".git/e.toml", "x/c.toml"] {
        at.write(path, "").await;
    }
    fs::create_dir(at.root.join("folder.toml")).unwrap();
    symlink("../secret", at.root.join("out.toml")).unwrap();
    symlink("a.toml", at.root.join("in.toml")).unwrap();
    symlink("..", at.root.join("sub/up")).unwrap();
    assert_eq!(at.glob("*.toml").await, ["a.toml", "b.toml", "in.toml"]);
    assert_eq!(at.glob("?.t*").await, ["a.toml", "a.txt", "b.toml"]);
    assert_eq!(at.glob(".h*").await, [".hidden.toml"]);
    assert_eq!(at.glob("{sub,x}/[a-c].toml").await, ["sub/c.toml", "x/c.toml"]);
    assert_eq!(at.glob("**/*.toml").await, ["a.toml", "b.toml", "in.toml", "sub/c.toml", "sub/deep/d.toml", "x/c.toml"]);
    assert_eq!(at.glob("sub/**").await, ["sub/c.toml", "sub/deep/d.toml"]);
    assert_eq!(at.glob("**/deep/**/*.toml").await, ["sub/deep/d.toml"]);
    assert_eq!(at.glob("a.toml").await, ["a.toml"]);
    assert_eq!(at.glob(".git/*").await, [".git/e.toml"]);
    for nothing in ["missing.toml", "no/such/*.toml", "a.toml/*", "sub/up/../*"] {
        let found = at.files.glob(&at.root, nothing).await;
        assert!(found.is_err() || found == Ok(vec![]), "{nothing}: {found:?}");
    }
    for bad in ["", "/etc/*", "../*", "a/../../*", "[", "{a"] {
        assert_eq!(at.files.glob(&at.root, bad).await.unwrap_err().kind, PortErrorKind::Invalid, "{bad}");
    }
    let nowhere = at.root.join("nowhere");
    assert_eq!(at.files.glob(&nowhere, "*").await, Ok(vec![]));
}

#[tokio::test]
async fn a_lock_is_held_by_one_at_a_time_and_leaves_nothing() {
    let at = Arc::new(place());
    at.write(".env", "").await;
    let inside = Arc::new(AtomicUsize::new(0));
    let worker = |number: usize| {
        let (at, inside) = (at.clone(), inside.clone());
        async move {
            // Half of them are other instances, which know of the lock through the kernel only, as another process would.
            let files = if number.is_multiple_of(2) { at.files.clone() } else { RealFiles::new() };
            for line in 0..10 {
                let guard = files.lock(&at.root, Path::new(".env")).await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
                let mut text = at.read(".env").await.unwrap();
                tokio::task::yield_now().await;
                text.extend_from_slice(format!("K{number}_{line}=1\n").as_bytes());
                files.write(&at.root, Path::new(".env"), &text, 0o600, false).await.unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(guard);
            }
        }
    };
    futures_util::future::join_all((0..6).map(worker)).await;
    assert_eq!(at.read(".env").await.unwrap().split(|byte| *byte == b'\n').count(), 61, "none is lost");
    assert_eq!(at.names(), [".env"]);
}

#[tokio::test]
async fn two_files_of_a_folder_can_be_locked_by_one() {
    let at = place();
    let one = at.files.lock(&at.root, Path::new("one")).await.unwrap();
    let two = at.files.lock(&at.root, Path::new("two")).await.unwrap();
    let stranger = RealFiles::new();
    drop(one);
    let third = tokio::time::timeout(std::time::Duration::from_millis(30), stranger.lock(&at.root, Path::new("one"))).await;
    assert!(third.is_err(), "towards others the folder is locked as long as anybody of us holds a file of it");
    drop(two);
    stranger.lock(&at.root, Path::new("one")).await.unwrap();
}

#[tokio::test]
async fn a_lock_on_the_target_is_a_lock_on_its_link() {
    let at = place();
    at.write("real/file", "").await;
    symlink("real/file", at.root.join("link")).unwrap();
    let held = at.files.lock(&at.root, Path::new("link")).await.unwrap();
    for files in [at.files.clone(), RealFiles::new()] {
        let second = tokio::time::timeout(std::time::Duration::from_millis(30), files.lock(&at.root, Path::new("real/file"))).await;
        assert!(second.is_err());
    }
    drop(held);
}

/// One thing in a tree made at random: a folder, a file, or a link to a path made of the same few names.
#[derive(Debug, Clone)]
enum Thing {
    Folder,
    File,
    Link(String),
}

fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "..", "."]), 1..5).prop_map(|parts| parts.join("/"))
}

fn things() -> impl Strategy<Value = Vec<(String, Thing)>> {
    let thing = prop_oneof![
        3 => Just(Thing::Folder),
        2 => Just(Thing::File),
        3 => names().prop_map(Thing::Link),
        1 => names().prop_map(|target| Thing::Link(format!("/ROOT/{target}"))),
        1 => Just(Thing::Link("/etc/hostname".to_owned())),
    ];
    prop::collection::vec((names(), thing), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Held against the kernel: what it finds by following a path, all within the root, we find; what it finds outside, we refuse.
    #[test]
    fn the_walk_agrees_with_the_kernel(things in things(), path in names()) {
        let at = place();
        let root = fs::canonicalize(&at.root).unwrap();
        for (name, thing) in things {
            let here = root.join(&name);
            // What does not fit into the tree as it is by now is left out.
            if !fs::canonicalize(here.parent().unwrap()).is_ok_and(|parent| parent.starts_with(&root)) {
                continue;
            }
            let _ = match thing {
                Thing::Folder => fs::create_dir(&here).is_ok(),
                Thing::File => fs::File::create_new(&here).is_ok(),
                Thing::Link(target) => symlink(target.replace("/ROOT", root.to_str().unwrap()), &here).is_ok(),
            };
        }
        let kernel = fs::canonicalize(root.join(&path));
        let ours = super::read(&root, Path::new(&path));
        match kernel {
            Ok(found) if !found.starts_with(&root) => prop_assert!(ours.is_err(), "{} read as {:?}", found.display(), ours),
            Ok(found) if found.is_file() => {
                // Going out and coming back in is refused though the kernel would follow it.
                if let Ok(ours) = ours { prop_assert!(ours.is_some()) }
            }
            Ok(_) => prop_assert!(ours.is_err(), "a folder is no file: {ours:?}"),
            Err(_) => prop_assert!(!matches!(ours, Ok(Some(_)))),
        }
    }
}

#[tokio::test]
async fn an_entry_is_told_without_following_it() {
    let at = place();
    fs::create_dir_all(at.root.join("full/empty")).unwrap();
    fs::write(at.root.join("full/file"), "x").unwrap();
    symlink("../secret", at.root.join("out")).unwrap();
    symlink("full", at.root.join("short")).unwrap();
    let entry = async |path: &str| at.files.entry(&at.root, Path::new(path)).await;
    assert_eq!(entry("full/file").await, Ok(Some(Entry::File)));
    assert_eq!(entry("full").await, Ok(Some(Entry::Folder { empty: false })));
    assert_eq!(entry("short/empty").await, Ok(Some(Entry::Folder { empty: true })));
    assert_eq!(entry("out").await, Ok(Some(Entry::Link("../secret".into()))));
    assert_eq!((entry("nothing").await, entry("no/thing").await), (Ok(None), Ok(None)));
    assert_eq!(entry("../secret").await.unwrap_err().kind, PortErrorKind::Invalid);
    assert!(at.files.free_space(&at.root).await.unwrap() > 0);
}

#[tokio::test]
async fn what_a_dead_driver_left_half_made_is_swept_and_nothing_else() {
    let at = place();
    let notes = at.folder.path().join("notes");
    let files = |mark: &str| RealFiles::new().noting(notes.clone(), mark.into());
    let path = Path::new("file");
    files("living").write(&at.root, path, b"old", 0o644, false).await.unwrap();
    assert!(!notes.exists(), "a new file gets its name at once");
    files("living").write(&at.root, path, b"new", 0o644, false).await.unwrap();
    assert_eq!(fs::read_dir(&notes).unwrap().count(), 0, "what is finished is not noted any more");
    let left = |mark: &str, name: &str, target: &Path| {
        symlink(target, notes.join(format!("{mark}{name}"))).unwrap();
        fs::write(target, "half").unwrap();
    };
    let (dead, living, foreign) = (".file.1.tmp", ".file.2.tmp", "precious");
    left("dead", dead, &at.root.join(dead));
    left("living", living, &at.root.join(living));
    left("dead", ".other.3.tmp", &at.root.join(foreign));
    files("next").sweep("dead").await.unwrap();
    files("next").sweep("dead").await.unwrap();
    assert_eq!(at.names(), [living, "file", foreign]);
    assert_eq!(at.read("file").await.as_deref(), Some(&b"new"[..]));
}
