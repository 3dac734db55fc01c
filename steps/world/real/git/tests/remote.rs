//! What goes to a remote and comes from it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use super::{Place, place};
use crate::world::{Git as _, NewTag, OutputBuffer, PortErrorKind, PortResult, RefUpdate, Tag};

fn update(name: &str, object: Option<&str>, expected: Option<&str>) -> RefUpdate {
    RefUpdate { name: name.into(), object: object.map(str::to_owned), expected: expected.map(str::to_owned) }
}

impl Place {
    async fn push(&self, updates: &[RefUpdate], force: bool) -> PortResult<()> {
        self.git.push(&self.work(), "origin", updates, force, &OutputBuffer::new()).await
    }
    async fn tag(&self, name: &str) -> Tag {
        let commit = self.run(&["rev-parse", "HEAD"]);
        let tag = NewTag { name: name.into(), commit, message: name.into(), sign: false };
        self.git.create_tag(&self.work(), &tag).await.unwrap()
    }
}

fn hook(repository: &std::path::Path, name: &str, script: &str) {
    let path = repository.join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn one_tag_goes_to_the_mirror_and_nothing_else() {
    for mirror in [false, true] {
        let at = place();
        at.run(&["config", "push.followTags", "true"]);
        if mirror {
            at.run(&["config", "remote.origin.mirror", "true"]);
        }
        at.sh(&["fetch", "--quiet", at.work().to_str().unwrap(), "main:theirs"], &at.mirror());
        let kept = at.mirrored();
        at.tag("v0").await;
        let tag = at.tag("v1").await;
        let output = OutputBuffer::new();
        let updates = [update("refs/tags/v1", Some(&tag.object), Some(""))];
        for _ in 0..2 {
            at.git.push(&at.work(), "origin", &updates, false, &output).await.unwrap();
        }
        let wanted = [kept, vec![format!("refs/tags/v1 {}", tag.object)]].concat();
        assert_eq!(at.mirrored(), wanted, "neither v0 nor a branch came, none went; mirror = {mirror}");
    }
}

#[tokio::test]
async fn what_the_remote_holds_must_be_what_was_seen() {
    let at = place();
    let one = at.tag("v1").await.object;
    at.push(&[update("refs/tags/v1", Some(&one), None)], false).await.unwrap();
    at.run(&["tag", "-d", "v1"]);
    at.run(&["commit", "--quiet", "--allow-empty", "--message=more"]);
    let two = at.tag("v1").await.object;
    for (expected, force) in [("", false), ("", true), (two.as_str(), true), (&at.run(&["rev-parse", "HEAD"]), true)] {
        let error = at.push(&[update("refs/tags/v1", Some(&two), Some(expected))], force).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");
        assert!(error.message.contains("stale info") && error.message.contains("refs/tags/v1"), "{error}");
    }
    for expected in [None, Some(one.as_str())] {
        let error = at.push(&[update("refs/tags/v1", Some(&two), expected)], false).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Conflict, "a tag moves by force only: {error}");
    }
    assert_eq!(at.mirrored(), [format!("refs/tags/v1 {one}")]);
    at.push(&[update("refs/tags/v1", Some(&two), Some(&one))], true).await.unwrap();
    assert_eq!(at.mirrored(), [format!("refs/tags/v1 {two}")]);
}

#[tokio::test]
async fn a_branch_goes_forward_only() {
    let at = place();
    let base = at.run(&["rev-parse", "HEAD"]);
    let theirs = at.commit(&[("file", "theirs\n")]);
    at.push(&[update("refs/heads/main", Some(&theirs), Some(""))], false).await.unwrap();
    at.run(&["reset", "--quiet", "--hard", &base]);
    let ours = at.commit(&[("file", "ours\n")]);
    for expected in [None, Some(theirs.as_str())] {
        let error = at.push(&[update("refs/heads/main", Some(&ours), expected)], false).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");
    }
    let unknown = "1".repeat(40);
    let error = at.push(&[update("refs/heads/main", Some(&ours), Some(&unknown))], false).await.unwrap_err();
    assert!(error.kind == PortErrorKind::Conflict && error.message.contains("fetch first"), "{error}");
    at.push(&[update("refs/heads/main", Some(&ours), Some(&theirs))], true).await.unwrap();
    let next = at.commit(&[]);
    at.push(&[update("refs/heads/main", Some(&next), Some(&ours))], false).await.unwrap();
    assert_eq!(at.mirrored(), [format!("refs/heads/main {next}")]);
}

#[tokio::test]
async fn all_refs_go_or_none() {
    let at = place();
    let head = at.run(&["rev-parse", "HEAD"]);
    let tag = at.tag("v1").await.object;
    at.push(&[update("refs/tags/v1", Some(&tag), None)], false).await.unwrap();
    let both = [update("refs/heads/main", Some(&head), Some("")), update("refs/tags/v1", Some(&head), Some(""))];
    let error = at.push(&both, false).await.unwrap_err();
    assert!(error.message.contains("`refs/tags/v1`") && error.message.contains("stale info"), "the cause, not what fell with it: {error}");
    assert_eq!(at.mirrored(), [format!("refs/tags/v1 {tag}")]);
    at.sh(&["config", "receive.advertiseAtomic", "false"], &at.mirror());
    let both = [update("refs/heads/main", Some(&head), Some("")), update("refs/tags/v2", Some(&head), Some(""))];
    at.push(&both, false).await.unwrap();
    assert_eq!(at.mirrored().len(), 3, "a remote that cannot do it at once gets them one by one");
}

#[tokio::test]
async fn a_tag_is_deleted_only_while_it_is_what_we_made() {
    let at = place();
    let ours = at.tag("v1").await.object;
    at.push(&[update("refs/tags/v1", Some(&ours), Some(""))], false).await.unwrap();
    at.sh(&["update-ref", "refs/tags/v1", &at.run(&["rev-parse", "HEAD"])], &at.mirror());
    let error = at.push(&[update("refs/tags/v1", None, Some(&ours))], false).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict);
    at.sh(&["update-ref", "refs/tags/v1", &ours], &at.mirror());
    for _ in 0..2 {
        at.push(&[update("refs/tags/v1", None, Some(&ours))], false).await.unwrap();
    }
    assert_eq!(at.mirrored(), Vec::<String>::new());
}

#[tokio::test]
async fn a_remote_that_says_no_is_quoted() {
    let at = place();
    let head = at.run(&["rev-parse", "HEAD"]);
    hook(&at.mirror(), "pre-receive", "echo 'releases are frozen'; exit 1");
    let output = OutputBuffer::new();
    let updates = [update("refs/heads/main", Some(&head), None)];
    let error = at.git.push(&at.work(), "origin", &updates, false, &output).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Denied);
    assert!(error.message.contains("releases are frozen"), "{error}");
    assert!(output.text().contains("releases are frozen"), "shown while it happens");
    hook(&at.work().join(".git"), "pre-push", "echo 'tests fail' >&2; exit 1");
    let error = at.push(&updates, false).await.unwrap_err();
    assert!(error.message.contains("tests fail"), "hooks of the user count: {error}");
}

#[tokio::test]
async fn malformed_updates_are_refused_before_anything_is_sent() {
    let at = place();
    let head = at.run(&["rev-parse", "HEAD"]);
    let bad = [
        update("main", Some(&head), None),
        update("heads/main", Some(&head), None),
        update("--mirror", Some(&head), None),
        update("refs/heads/*", Some(&head), None),
        update("refs/heads/a:refs/heads/b", Some(&head), None),
        update("refs/heads/main", Some("HEAD"), None),
        update("refs/heads/main", Some(""), None),
        update("refs/heads/main", Some(&head), Some("main")),
    ];
    for update in bad {
        let error = at.push(std::slice::from_ref(&update), true).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Invalid, "{update:?}");
    }
    for remote in ["-x", "--upload-pack=touch y", ""] {
        let output = OutputBuffer::new();
        let kinds = [
            at.git.push(&at.work(), remote, &[], false, &output).await.unwrap_err().kind,
            at.git.fetch(&at.work(), remote, true, &output).await.unwrap_err().kind,
            at.git.remote_refs(&at.work(), remote, &[]).await.unwrap_err().kind,
            at.git.remote_url(&at.work(), remote).await.unwrap_err().kind,
        ];
        assert_eq!(kinds, [PortErrorKind::Invalid; 4], "{remote}");
    }
    assert_eq!(at.mirrored(), Vec::<String>::new());
}

#[tokio::test]
async fn remotes_that_are_not_there_are_told_apart() {
    let at = place();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, kind) in [
        (format!("git://{free}/x"), PortErrorKind::Unreachable),
        (format!("http://user:hidden@{free}/x"), PortErrorKind::Unreachable),
        (at.folder.path().join("none").display().to_string(), PortErrorKind::NotFound),
        (format!("ext::touch {}", at.folder.path().join("ran").display()), PortErrorKind::Failed),
    ] {
        at.run(&["remote", "set-url", "origin", &url]);
        let head = at.run(&["rev-parse", "HEAD"]);
        let errors = [
            at.git.remote_refs(&at.work(), "origin", &[]).await.unwrap_err(),
            at.git.fetch(&at.work(), "origin", false, &OutputBuffer::new()).await.unwrap_err(),
            at.push(&[update("refs/heads/main", Some(&head), None)], false).await.unwrap_err(),
            at.git.remote_refs(&at.work(), &url, &[]).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, kind, "{url}: {error}");
            assert!(!error.message.contains("hidden"), "{error}");
        }
    }
    assert!(!at.folder.path().join("ran").exists());
    let error = at.git.remote_refs(&at.work(), "nope", &[]).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn the_address_of_a_remote_is_shown_without_its_password() {
    let at = place();
    at.run(&["remote", "add", "forge", "https://user:hidden@forge.example/o/r.git"]);
    assert_eq!(at.git.remote_url(&at.work(), "forge").await.unwrap().unwrap(), "https://***@forge.example/o/r.git");
    assert_eq!(at.git.remote_url(&at.work(), "nope").await, Ok(None));
}

#[tokio::test]
async fn refs_of_a_remote_are_found_by_their_full_names() {
    let at = place();
    let head = at.run(&["rev-parse", "HEAD"]);
    let tag = at.tag("v1").await.object;
    for name in ["refs/tags/v1", "refs/other/refs/tags/v1", "refs/tags/v10"] {
        at.push(&[update(name, Some(&tag), None)], false).await.unwrap();
    }
    at.push(&[update("refs/heads/ä", Some(&head), None)], false).await.unwrap();
    let names = ["refs/tags/v1", "refs/heads/ä", "refs/heads/none"].map(str::to_owned);
    let found = at.git.remote_refs(&at.work(), "origin", &names).await.unwrap();
    assert_eq!(found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["refs/heads/ä", "refs/tags/v1"]);
    assert_eq!((found[1].object.as_str(), found[1].commit(), found[0].commit()), (tag.as_str(), head.as_str(), head.as_str()));
    assert_eq!(at.git.remote_refs(&at.work(), "origin", &[]).await.unwrap().len(), 4);
    let error = at.git.remote_refs(&at.work(), "origin", &["refs/tags/*".to_owned()]).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid);
}

#[tokio::test]
async fn a_fetch_brings_branches_and_tags_when_asked() {
    let at = place();
    let head = at.run(&["rev-parse", "HEAD"]);
    let tag = at.tag("v1").await.object;
    at.push(&[update("refs/tags/v1", Some(&tag), None), update("refs/heads/main", Some(&head), None)], false).await.unwrap();
    at.run(&["tag", "-d", "v1"]);
    at.git.fetch(&at.work(), "origin", false, &OutputBuffer::new()).await.unwrap();
    assert_eq!((at.run(&["rev-parse", "origin/main"]), at.run(&["tag"])), (head.clone(), String::new()));
    at.git.fetch(&at.work(), "origin", true, &OutputBuffer::new()).await.unwrap();
    assert_eq!(at.run(&["rev-parse", "v1"]), tag);
    at.run(&["tag", "-f", "v1"]);
    let error = at.git.fetch(&at.work(), "origin", true, &OutputBuffer::new()).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");
    assert_eq!(at.run(&["rev-parse", "v1"]), head, "the local tag stays");
}

#[tokio::test]
async fn a_push_that_is_given_up_leaves_no_process() {
    let at = place();
    let head = at.run(&["rev-parse", "HEAD"]);
    let mark = at.folder.path().join("pid");
    hook(&at.work().join(".git"), "pre-push", &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 300", mark.display()));
    let updates = [update("refs/heads/main", Some(&head), None)];
    let begun = async {
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = at.push(&updates, false) => panic!("the hook does not end"),
        () = begun => {}
    }
    let stat = format!("/proc/{}/stat", fs::read_to_string(&mark).unwrap().trim());
    let dead_by = Instant::now() + Duration::from_secs(5);
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < dead_by, "the hook lives on");
        tokio::task::yield_now().await;
    }
}
