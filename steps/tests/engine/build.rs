//! Building with the engine's own builder, and with BuildKit where the plugin is there.

use std::time::Duration;

use formula_steps::world::real::{DockerSettings, RealDocker};
use formula_steps::world::{Builder, Docker as _, Output, OutputBuffer, PortErrorKind};

use crate::support::{Folder, Tags, docker, docker_quietly, engine_or_skip, program_answers};

const RUNS: &str = "FROM scratch AS base\nCOPY busybox /bin/busybox\nARG WHO\n\
                    RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo hello $WHO >&2; echo $WHO > /who\"]\nVOLUME /data /cache\n\
                    FROM base AS more\nLABEL stage=more\n";

fn engine() -> RealDocker {
    RealDocker::new(DockerSettings::default())
}

#[tokio::test]
async fn a_build_gives_an_image_with_all_that_was_asked_for() {
    engine_or_skip!("a_build_gives_an_image_with_all_that_was_asked_for");
    let (tags, engine, output) = (Tags::default(), engine(), OutputBuffer::new());
    let (first, second) = (tags.local(), tags.local());
    let folder = Folder::with_busybox(&[("Dockerfile", RUNS)]);
    let mut build = folder.build(&[&first, &second]);
    build.args.insert("WHO".into(), "wörld & co".into());
    build.labels.insert("a label".into(), "with = and \"quotes\"".into());
    build.target = Some("base".into());
    let built = engine.build(&build, &output).await.expect("a build");

    let image = engine.image(&first.to_string()).await.expect("an answer").expect("an image");
    assert_eq!(image.id, built.image_id);
    assert_eq!(engine.image(&second.to_string()).await.expect("an answer").map(|image| image.id), Some(built.image_id.clone()));
    assert_eq!(engine.image(&built.image_id).await.expect("an answer").map(|image| image.id), Some(built.image_id));
    assert_eq!(image.labels.get("a label").map(String::as_str), Some("with = and \"quotes\""));
    assert!(!image.labels.contains_key("stage"), "the second stage was not asked for");
    assert_eq!(image.volumes, ["/cache", "/data"]);
    assert!(image.size > 100_000, "{}", image.size);
    let said = output.text();
    assert!(said.contains("Step 1/") && said.contains("hello wörld & co\n"), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[tokio::test]
async fn a_failure_inside_the_stream_is_a_failure_in_dockers_words() {
    engine_or_skip!("a_failure_inside_the_stream_is_a_failure_in_dockers_words");
    let tags = Tags::default();
    let name = tags.local();
    let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo the reason; exit 3\"]\n";
    let folder = Folder::with_busybox(&[("Dockerfile", dockerfile)]);
    let error = engine().build(&folder.build(&[&name]), &OutputBuffer::new()).await.expect_err("exit 3");
    assert_eq!(error.kind, PortErrorKind::Failed);
    assert!(error.message.contains("returned a non-zero code: 3"), "{}", error.message);
    assert!(error.message.contains("the reason"), "{}", error.message);
    assert_eq!(engine().image(&name.to_string()).await, Ok(None));

    for (dockerfile, kind, words) in [
        ("FROM scratch\nCOPY missing /\n", PortErrorKind::Failed, "missing"),
        ("FROM scratch\nNONSENSE\n", PortErrorKind::Invalid, "NONSENSE"),
        ("", PortErrorKind::Invalid, "empty"),
    ] {
        let folder = Folder::with(&[("Dockerfile", dockerfile)]);
        let error = engine().build(&folder.build(&[]), &OutputBuffer::new()).await.expect_err(dockerfile);
        assert_eq!(error.kind, kind, "{dockerfile:?}: {error}");
        assert!(error.message.contains(words), "{dockerfile:?}: {error}");
    }
}

#[tokio::test]
async fn what_changed_since_it_was_looked_at_is_not_built() {
    engine_or_skip!("what_changed_since_it_was_looked_at_is_not_built");
    let (tags, engine) = (Tags::default(), engine());
    let name = tags.local();
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\nCOPY a b /\n"), ("a", "old"), ("b", "1")]);
    let mut build = folder.build(&[&name]);
    let digest = engine.build_digest(&build).await.expect("a digest");
    assert_eq!(engine.build_digest(&build).await.as_ref(), Ok(&digest), "asked again");
    build.digest = Some(digest.clone());
    // As long as before: only its bytes tell.
    folder.write("a", b"new");
    let error = engine.build(&build, &OutputBuffer::new()).await.expect_err("another content");
    assert_eq!(error.kind, PortErrorKind::Transient, "{error}");
    assert!(error.message.contains("changed while it was built"), "{error}");
    assert_eq!(engine.image(&name.to_string()).await, Ok(None));

    let now = engine.build_digest(&build).await.expect("a digest");
    assert_ne!(now, digest, "what was remembered is of yesterday");
    build.digest = Some(now);
    engine.build(&build, &OutputBuffer::new()).await.expect("a build");
}

#[tokio::test]
async fn two_platforms_need_buildkit() {
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\n")]);
    let mut build = folder.build(&[]);
    build.platforms = vec!["linux/amd64".into(), "linux/arm64".into()];
    let error = engine().build(&build, &OutputBuffer::new()).await.expect_err("one at a time");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.hint.expect("a hint").contains("buildkit"));
}

/// Says when a line came.
struct Waiting {
    needle: &'static str,
    seen: tokio::sync::Notify,
    buffer: OutputBuffer,
}

impl Output for Waiting {
    fn write(&self, bytes: &[u8]) {
        self.buffer.write(bytes);
        if self.buffer.text().contains(self.needle) {
            self.seen.notify_one();
        }
    }
}

/// Takes away the nameless images of the steps before the one that was cut off.
struct Steps(String);

impl Drop for Steps {
    fn drop(&mut self) {
        for id in docker_quietly(&["image", "ls", "--quiet", "--filter", &self.0]).lines() {
            docker_quietly(&["image", "rm", id]);
        }
    }
}

#[tokio::test]
async fn a_build_that_nobody_waits_for_ends() {
    engine_or_skip!("a_build_that_nobody_waits_for_ends");
    let label = format!("formula.test.cancel={}", std::process::id());
    let dockerfile = format!(
        "FROM scratch\nLABEL {label}\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo started; sleep 300\"]\n"
    );
    let folder = Folder::with_busybox(&[("Dockerfile", &dockerfile)]);
    let output = Waiting { needle: "started\n", seen: tokio::sync::Notify::new(), buffer: OutputBuffer::new() };
    let engine = engine();
    let build = folder.build(&[]);
    tokio::select! {
        done = engine.build(&build, &output) => panic!("it sleeps for 300 s: {done:?}"),
        () = output.seen.notified() => {}
    }
    let filter = format!("label={label}");
    let _steps = Steps(filter.clone());
    let left = || docker(&["ps", "--all", "--quiet", "--filter", &filter]);
    let gone = async {
        while !left().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gone).await.expect("the engine takes the container away");
}

#[tokio::test]
async fn buildkit_builds_through_the_plugin() {
    engine_or_skip!("buildkit_builds_through_the_plugin");
    if !program_answers("buildkit_builds_through_the_plugin", "docker", &["buildx", "version"]) {
        return;
    }
    let (tags, output) = (Tags::default(), OutputBuffer::new());
    let name = tags.local();
    let folder = Folder::with_busybox(&[("Dockerfile", RUNS), ("Dockerfile.dockerignore", "secret\n"), ("secret", "s")]);
    let mut build = folder.build(&[&name]);
    build.builder = Builder::Buildkit;
    build.args.insert("WHO".into(), "world".into());
    let built = engine().build(&build, &output).await.expect("a build");
    let image = engine().image(&name.to_string()).await.expect("an answer").expect("an image");
    assert_eq!(image.id, built.image_id);
    assert_eq!(image.labels.get("stage").map(String::as_str), Some("more"));
    let said = output.text();
    assert!(said.contains("COPY busybox /bin/busybox"), "{said}");
    assert!(!said.contains('{'), "{said}");

    let folder = Folder::with_busybox(&[(
        "Dockerfile",
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo the reason; exit 3\"]\n",
    )]);
    let mut build = folder.build(&[]);
    build.builder = Builder::Buildkit;
    let error = engine().build(&build, &OutputBuffer::new()).await.expect_err("exit 3");
    assert_eq!(error.kind, PortErrorKind::Failed);
    assert!(error.message.contains("exit code: 3"), "{error}");
}
