//! What needs no remote.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{Place, RealGit, place};
use crate::world::{Checkout, Git as _, NewTag, PortErrorKind, StatusEntry};

fn new_tag(name: &str, commit: &str, message: &str) -> NewTag {
    NewTag { name: name.into(), commit: commit.into(), message: message.into(), sign: false }
}

#[tokio::test]
async fn head_is_told_on_a_branch_and_detached() {
    let at = place();
    let commit = at.run(&["rev-parse", "HEAD"]);
    at.run(&["checkout", "--quiet", "-b", "feature/x"]);
    let head = at.git.head(&at.work()).await.unwrap();
    assert_eq!((head.commit.as_str(), head.branch.as_deref()), (commit.as_str(), Some("feature/x")));
    at.run(&["checkout", "--quiet", "--detach"]);
    assert_eq!(at.git.head(&at.work()).await.unwrap().branch, None);
}

#[tokio::test]
async fn no_commit_no_repository_and_no_folder_are_told_apart() {
    let at = place();
    at.sh(&["init", "--quiet", "empty"], at.folder.path());
    fs::create_dir(at.folder.path().join("plain")).unwrap();
    for (dir, words) in [("empty", "no commit yet"), ("plain", "not a git repository"), ("missing", "there is no folder")] {
        let error = at.git.head(&at.folder.path().join(dir)).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::NotFound);
        assert!(error.message.contains(words), "{error}");
    }
    let nowhere = RealGit::new([("PATH".to_owned(), "/nowhere".to_owned())].into());
    let error = nowhere.head(&at.work()).await.unwrap_err();
    assert!(error.message.contains("there is no program `git`"), "{error}");
}

#[tokio::test]
async fn revisions_are_resolved_to_commits() {
    let at = place();
    let first = at.run(&["rev-parse", "HEAD"]);
    at.run(&["tag", "-a", "-m", "x", "v1"]);
    let second = at.commit(&[("file", "two\n")]);
    for (revision, commit) in [("v1", &first), ("HEAD~1", &first), (&first[..8], &first), ("main", &second), ("refs/tags/v1", &first)] {
        assert_eq!(at.git.resolve(&at.work(), revision).await.unwrap().as_ref(), Some(commit), "{revision}");
    }
    for nothing in ["v2", "HEAD:file", &"0".repeat(40), "no such", "a..b"] {
        assert_eq!(at.git.resolve(&at.work(), nothing).await, Ok(None), "{nothing}");
    }
    for bad in ["--all", "-v1", "", "a\nb"] {
        assert_eq!(at.git.resolve(&at.work(), bad).await.unwrap_err().kind, PortErrorKind::Invalid, "{bad}");
    }
}

#[tokio::test]
async fn the_repository_of_a_surrounding_hook_is_not_taken_for_this_one() {
    let at = place();
    let mut env = at.env.clone();
    env.insert("GIT_DIR".into(), at.mirror().display().to_string());
    env.insert("GIT_INDEX_FILE".into(), "/nowhere/index".into());
    let head = RealGit::new(env).head(&at.work()).await.unwrap();
    assert_eq!(head.commit, at.run(&["rev-parse", "HEAD"]));
}

#[tokio::test]
async fn status_names_every_file_as_it_is() {
    let at = place();
    at.commit(&[(".gitignore", "*.log\n"), ("gone", "x\n"), ("old name", "long enough to be a rename\n")]);
    at.write(&[("file", "changed\n"), ("neu/ä \"x\"\n.txt", "untracked"), ("a.log", "ignored")]);
    fs::remove_file(at.work().join("gone")).unwrap();
    at.run(&["mv", "old name", "new name"]);
    let mut entries = at.git.status(&at.work()).await.unwrap();
    entries.sort_by(|one, two| one.path.cmp(&two.path));
    let entry = |path: &str, code: &str| StatusEntry { path: path.into(), code: code.into() };
    let wanted =
        [entry("file", " M"), entry("gone", " D"), entry("neu/ä \"x\"\n.txt", "??"), entry("new name", "A "), entry("old name", "D ")];
    assert_eq!(entries, wanted);
}

#[tokio::test]
async fn a_tag_is_made_annotated_and_read_back() {
    let at = place();
    let commit = at.run(&["rev-parse", "HEAD"]);
    let message = "Release ä\n\n# not a comment\n\nlast line";
    let made = at.git.create_tag(&at.work(), &new_tag("v1.0.0", &commit, message)).await.unwrap();
    assert_eq!((made.commit.as_str(), made.annotated, made.message.as_str()), (commit.as_str(), true, message));
    assert_eq!(made.object, at.run(&["rev-parse", "refs/tags/v1.0.0"]));
    assert_eq!(at.run(&["cat-file", "-t", "v1.0.0"]), "tag");
    assert_eq!(at.git.tag(&at.work(), "v1.0.0").await, Ok(Some(made)));
    at.run(&["tag", "light"]);
    at.run(&["tag", "-a", "-m", "outer", "nested", "v1.0.0"]);
    let light = at.git.tag(&at.work(), "light").await.unwrap().unwrap();
    assert_eq!((light.object.as_str(), light.annotated, light.message.as_str()), (commit.as_str(), false, ""));
    assert_eq!(at.git.tag(&at.work(), "nested").await.unwrap().unwrap().commit, commit);
    assert_eq!(at.git.tag(&at.work(), "v2").await, Ok(None));
}

#[tokio::test]
async fn a_tag_is_never_moved() {
    let at = place();
    let first = at.run(&["rev-parse", "HEAD"]);
    at.git.create_tag(&at.work(), &new_tag("v1", &first, "one")).await.unwrap();
    let second = at.commit(&[]);
    let error = at.git.create_tag(&at.work(), &new_tag("v1", &second, "two")).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict);
    assert!(error.message.contains(&first), "{error}");
    assert_eq!(at.run(&["rev-parse", "v1^{commit}"]), first);
}

#[tokio::test]
async fn a_tag_without_an_identity_says_which_commands_to_type() {
    let at = place();
    at.run(&["config", "user.useConfigOnly", "true"]);
    let commit = at.run(&["rev-parse", "HEAD"]);
    let mut env = at.env.clone();
    env.insert("GIT_CONFIG_GLOBAL".into(), "/dev/null".into());
    let error = RealGit::new(env).create_tag(&at.work(), &new_tag("v1", &commit, "x")).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Failed);
    let hint = error.hint.unwrap();
    assert!(hint.contains("git config user.name") && hint.contains("user.email"), "{hint}");
}

#[tokio::test]
async fn a_signed_tag_is_verified_and_its_message_is_without_the_signature() {
    let at = place();
    let commit = at.run(&["rev-parse", "HEAD"]);
    let key = at.folder.path().join("key");
    let mut keygen = std::process::Command::new("ssh-keygen");
    let made =
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().expect("ssh-keygen is installed (package openssh-client)");
    assert!(made.success());
    at.run(&["config", "gpg.format", "ssh"]);
    at.run(&["config", "user.signingKey", key.to_str().unwrap()]);
    let signed = at.git.create_tag(&at.work(), &NewTag { sign: true, ..new_tag("v1", &commit, "signed") }).await.unwrap();
    assert_eq!(signed.message, "signed");
    assert!(at.run(&["cat-file", "tag", "v1"]).contains("BEGIN SSH SIGNATURE"));
    let error = at.git.verify_tag(&at.work(), "v1").await.unwrap_err();
    assert!(error.hint.unwrap().contains("allowedSignersFile"), "{}", error.message);
    let signers = at.folder.path().join("signers");
    fs::write(&signers, format!("tester@example.org {}", fs::read_to_string(key.with_extension("pub")).unwrap())).unwrap();
    at.run(&["config", "gpg.ssh.allowedSignersFile", signers.to_str().unwrap()]);
    at.git.verify_tag(&at.work(), "v1").await.unwrap();
    at.git.create_tag(&at.work(), &new_tag("v2", &commit, "plain")).await.unwrap();
    let error = at.git.verify_tag(&at.work(), "v2").await.unwrap_err();
    assert!(error.message.contains("no signature") && error.hint.is_some(), "{error}");
    assert_eq!(at.git.verify_tag(&at.work(), "v3").await.unwrap_err().kind, PortErrorKind::NotFound);
    at.run(&["config", "user.signingKey", "/nowhere/key"]);
    let error = at.git.create_tag(&at.work(), &NewTag { sign: true, ..new_tag("v3", &commit, "x") }).await.unwrap_err();
    assert!(error.hint.unwrap().contains("git tag -s"), "{}", error.message);
    assert_eq!(at.git.tag(&at.work(), "v3").await, Ok(None));
}

#[tokio::test]
async fn only_the_tag_that_is_known_is_deleted() {
    let at = place();
    let commit = at.run(&["rev-parse", "HEAD"]);
    let made = at.git.create_tag(&at.work(), &new_tag("v1", &commit, "one")).await.unwrap();
    at.run(&["tag", "-f", "-a", "-m", "another", "v1"]);
    let error = at.git.delete_tag(&at.work(), "v1", &made.object).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict);
    let now = at.git.tag(&at.work(), "v1").await.unwrap().unwrap();
    for _ in 0..2 {
        at.git.delete_tag(&at.work(), "v1", &now.object).await.unwrap();
    }
    assert_eq!(at.run(&["tag"]), "");
}

#[tokio::test]
async fn names_that_could_be_options_are_refused_everywhere() {
    let at = place();
    let commit = at.run(&["rev-parse", "HEAD"]);
    let dir = at.work();
    for name in ["-d", "--contains=x", "a b", "..", ""] {
        let kinds = [
            at.git.tag(&dir, name).await.unwrap_err().kind,
            at.git.create_tag(&dir, &new_tag(name, &commit, "x")).await.unwrap_err().kind,
            at.git.delete_tag(&dir, name, &commit).await.unwrap_err().kind,
            at.git.verify_tag(&dir, name).await.unwrap_err().kind,
            at.git.checkout(&dir, &Checkout::Branch(name.into())).await.unwrap_err().kind,
        ];
        assert_eq!(kinds, [PortErrorKind::Invalid; 5], "{name}");
    }
    for revision in ["-f", "--orphan=x"] {
        let kinds = [
            at.git.checkout(&dir, &Checkout::Detached(revision.into())).await.unwrap_err().kind,
            at.git.tree(&dir, revision).await.unwrap_err().kind,
            at.git.show(&dir, revision, "file").await.unwrap_err().kind,
            at.git.export(&dir, revision, &at.folder.path().join("out")).await.unwrap_err().kind,
        ];
        assert_eq!(kinds, [PortErrorKind::Invalid; 4], "{revision}");
    }
}

#[tokio::test]
async fn a_checkout_moves_head_and_keeps_what_it_need_not_touch() {
    let at = place();
    let first = at.run(&["rev-parse", "HEAD"]);
    at.commit(&[("file", "two\n"), ("other", "x\n")]);
    at.commit(&[("file", "three\n")]);
    at.write(&[("other", "edited\n"), ("loose", "mine\n")]);
    at.git.checkout(&at.work(), &Checkout::Detached("HEAD~1".into())).await.unwrap();
    assert_eq!((at.read("file").as_str(), at.read("other").as_str(), at.read("loose").as_str()), ("two\n", "edited\n", "mine\n"));
    let error = at.git.checkout(&at.work(), &Checkout::Detached(first.clone())).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict);
    assert!(error.message.contains("`other`") && !error.message.contains("`file`"), "{error}");
    assert_eq!(at.read("other"), "edited\n");
    at.git.checkout(&at.work(), &Checkout::Branch("main".into())).await.unwrap();
    assert_eq!(at.git.head(&at.work()).await.unwrap().branch.as_deref(), Some("main"));
    for nothing in [Checkout::Branch("nope".into()), Checkout::Detached("nope".into()), Checkout::Branch("file".into())] {
        assert_eq!(at.git.checkout(&at.work(), &nothing).await.unwrap_err().kind, PortErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_checkout_overwrites_no_untracked_and_no_ignored_file() {
    let at = place();
    let first = at.run(&["rev-parse", "HEAD"]);
    let second = at.commit(&[(".gitignore", ".env\n"), (".env", "tracked\n"), ("ä b", "tracked\n")]);
    at.git.checkout(&at.work(), &Checkout::Detached(first)).await.unwrap();
    at.write(&[(".gitignore", ".env\n"), (".env", "mine\n"), ("ä b", "mine\n")]);
    let error = at.git.checkout(&at.work(), &Checkout::Detached(second.clone())).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict);
    assert!(error.message.contains("`ä b`") && error.message.contains("`.env`"), "{error}");
    for path in ["ä b", ".gitignore"] {
        fs::remove_file(at.work().join(path)).unwrap();
    }
    fs::write(at.work().join(".git/info/exclude"), ".env\n").unwrap();
    let error = at.git.checkout(&at.work(), &Checkout::Detached(second)).await.unwrap_err();
    assert_eq!((error.kind, at.read(".env").as_str()), (PortErrorKind::Conflict, "mine\n"), "ignored is not worthless");
}

/// A commit with all that a tree can hold; what `tree` should say of it.
fn rich(at: &Place) -> (String, Vec<&'static str>) {
    at.write(&[("run.sh", "#!/bin/sh\n"), ("deep/ünï/x y", "text\n")]);
    fs::set_permissions(at.work().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("deep", at.work().join("link")).unwrap();
    fs::write(at.work().join("data"), [0, 255, 10, 13]).unwrap();
    at.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{},module", at.run(&["rev-parse", "HEAD"]))]);
    at.run(&["add", "--", "run.sh", "deep", "link", "data"]);
    let commit = at.commit(&[(".gitattributes", "secret export-ignore\n*.txt text eol=crlf\n"), ("secret", "s\n"), ("dos.txt", "a\n")]);
    (commit, vec![".gitattributes", "data", "deep/ünï/x y", "dos.txt", "file", "link", "run.sh", "secret"])
}

#[tokio::test]
async fn the_files_of_a_commit_are_listed_and_shown() {
    let at = place();
    let (commit, files) = rich(&at);
    at.commit(&[("later", "x\n")]);
    assert_eq!(at.git.tree(&at.work(), &commit).await.unwrap(), files);
    assert_eq!(at.git.tree(&at.work().join("deep"), &commit).await.unwrap(), files, "from a folder within as well");
    let show = async |path: &str| at.git.show(&at.work().join("deep"), &commit, path).await;
    assert_eq!(show("data").await.unwrap().unwrap(), [0, 255, 10, 13]);
    assert_eq!(show("./deep/ünï/x y").await.unwrap().unwrap(), b"text\n");
    for nothing in ["later", "deep/none", "file missing"] {
        assert_eq!(show(nothing).await, Ok(None));
    }
    for bad in ["deep", "../file", "/file", ""] {
        assert_eq!(show(bad).await.unwrap_err().kind, PortErrorKind::Invalid, "{bad}");
    }
    assert_eq!(at.git.show(&at.work(), "v9", "file").await.unwrap_err().kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn what_cannot_change_is_asked_once_and_names_are_asked_anew() {
    let at = place();
    let first = at.run(&["rev-parse", "HEAD"]);
    at.run(&["tag", "moves"]);
    assert_eq!(at.git.resolve(&at.work(), "moves").await.unwrap().as_ref(), Some(&first));
    assert_eq!(at.git.show(&at.work(), "moves", "file").await.unwrap().unwrap(), b"one\n");
    assert_eq!(at.git.show(&at.work(), &first, "none").await, Ok(None));
    let second = at.commit(&[("file", "two\n")]);
    at.run(&["tag", "--force", "moves"]);
    assert_eq!(at.git.resolve(&at.work(), "moves").await.unwrap(), Some(second));
    assert_eq!(at.git.show(&at.work(), "moves", "file").await.unwrap().unwrap(), b"two\n");
    // Without its repository only what is known of it can be told.
    fs::rename(at.work().join(".git"), at.folder.path().join("away")).unwrap();
    assert_eq!(at.git.resolve(&at.work(), &first).await.unwrap().as_ref(), Some(&first));
    assert_eq!(at.git.show(&at.work(), &first, "./file").await.unwrap().unwrap(), b"one\n");
    assert_eq!(at.git.show(&at.work(), &first, "none").await, Ok(None));
    assert!(at.git.resolve(&at.work(), "moves").await.is_err());
    assert!(at.git.resolve(at.folder.path(), &first).await.is_err(), "another folder is another repository");
}

#[tokio::test]
async fn what_history_held_is_known() {
    let at = place();
    at.commit(&[("deep/file", "one\n")]);
    at.run(&["switch", "--quiet", "--create", "side"]);
    at.commit(&[("deep/file", "side\n")]);
    at.run(&["switch", "--quiet", "-"]);
    at.commit(&[("other", "x\n")]);
    let before = at.run(&["rev-parse", "HEAD"]);
    at.run(&["merge", "--quiet", "--no-ff", "-m", "merge", "side"]);
    at.run(&["rm", "--quiet", "deep/file"]);
    let gone = at.commit(&[("last", "x\n")]);
    let held = async |commit: &str, path: &str, text: &str| {
        std::fs::create_dir_all(at.work().join("within")).unwrap();
        at.git.ever_held(&at.work().join("within"), commit, path, text.as_bytes()).await.unwrap()
    };
    assert!(held(&gone, "deep/file", "one\n").await);
    assert!(held(&gone, "deep/file", "side\n").await);
    assert!(held("HEAD", "./deep/file", "one\n").await, "from a folder within, and a ref");
    assert!(!held(&before, "deep/file", "side\n").await, "later commits do not count");
    assert!(!held(&gone, "deep/file", "edited\n").await);
    assert!(!held(&gone, "file", "side\n").await, "nor does another path");
    assert!(at.git.ever_held(&at.work(), &gone, "../x", b"").await.is_err());
}

/// All files and links below a folder, by name.
fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn an_export_is_the_tree_and_touches_nothing_else() {
    let at = place();
    let (linked, files) = rich(&at);
    let refused = at.git.export(&at.work(), &linked, &at.folder.path().join("linked")).await.unwrap_err();
    assert!(refused.kind == PortErrorKind::Invalid && refused.message.contains("`module` is a submodule"), "{refused}");
    at.run(&["rm", "--quiet", "--cached", "module"]);
    let commit = at.commit(&[("file", "one\n")]);
    let below = at.git.export(&at.work().join("deep"), &commit, &at.folder.path().join("below")).await.unwrap_err();
    assert!(below.kind == PortErrorKind::Invalid && below.message.contains("is `deep/` in it"), "{below}");
    at.run(&["config", "core.sparseCheckout", "true"]);
    fs::write(at.work().join(".git/info/sparse-checkout"), "/file\n").unwrap();
    at.write(&[("file", "edited\n"), ("loose", "x\n")]);
    let before = (at.run(&["status", "--porcelain"]), fs::read(at.work().join(".git/index")).unwrap());
    let into = at.folder.path().join("out/here");
    at.git.export(&at.work(), &commit, &into).await.unwrap();
    assert_eq!(files_below(&into), files);
    assert_eq!(fs::read_to_string(into.join("file")).unwrap(), "one\n");
    assert_eq!(fs::read_to_string(into.join("dos.txt")).unwrap(), "a\r\n", "attributes count as in a clone");
    assert_eq!(fs::read_link(into.join("link")).unwrap(), Path::new("deep"));
    assert_eq!(fs::metadata(into.join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!((at.run(&["status", "--porcelain"]), fs::read(at.work().join(".git/index")).unwrap()), before);
    assert_eq!(at.git.export(&at.work(), &commit, &into).await.unwrap_err().kind, PortErrorKind::Conflict, "not empty");
    let bare = at.folder.path().join("bare");
    at.run(&["push", "--quiet", "origin", "main"]);
    at.git.export(&at.mirror(), &commit, &bare).await.unwrap();
    assert_eq!(files_below(&bare), files, "a bare repository will do");
}

#[tokio::test]
async fn tags_distance_and_remotes_are_listed() {
    let at = place();
    let first = at.run(&["rev-parse", "HEAD"]);
    at.run(&["tag", "v1"]);
    let second = at.commit(&[("file", "two\n")]);
    at.run(&["tag", "-a", "-m", "x", "rel/v2"]);
    let third = at.commit(&[("file", "three\n")]);
    let tags = at.git.tags(&at.work()).await.unwrap();
    assert_eq!(tags, [("rel/v2".to_owned(), second), ("v1".to_owned(), first.clone())].into());
    assert_eq!(at.git.distance(&at.work(), "v1", "HEAD").await, Ok(2));
    assert_eq!(at.git.distance(&at.work(), &third, &first).await, Ok(0));
    assert_eq!(at.git.distance(&at.work(), "v9", "HEAD").await.unwrap_err().kind, PortErrorKind::NotFound);

    at.run(&["remote", "add", "forge.x", "http://bot:hidden@h/o/r.git"]);
    at.run(&["remote", "add", "clean", "ssh://git@h/x"]);
    at.run(&["remote", "set-url", "--push", "clean", "ssh://git:hidden@h/x"]);
    let remotes = at.git.remotes(&at.work()).await.unwrap();
    let told: Vec<_> = remotes.iter().map(|remote| (remote.name.as_str(), remote.credentials)).collect();
    assert_eq!(told, [("clean", true), ("forge.x", true), ("origin", false)]);
    assert!(!format!("{remotes:?}").contains("hidden"), "{remotes:?}");
    at.sh(&["init", "--quiet", "alone"], at.folder.path());
    assert_eq!(at.git.remotes(&at.folder.path().join("alone")).await, Ok(Vec::new()));
}
